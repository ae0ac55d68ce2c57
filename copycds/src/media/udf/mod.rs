//! UDF (ECMA-167 as profiled by OSTA UDF 1.02 to 2.60), read only, as discs for reading have it.
//!
//! The story: [`UdfVolume::find`] goes from the anchor over the volume descriptors to the file set;
//! [`entries`] walks from the root directory's file entry. Every structure opens with a tag whose sum
//! and checksum must fit. Read are blocks of 2048 bytes, plain partitions and allocation descriptors
//! that are short, long or replaced by the data itself. Refused by name are what only rewritable discs
//! have: virtual, sparable and metadata partitions, strategy 4096, and holes.

mod file;
mod tag;
mod text;
mod tree;
mod volume;

pub(super) use tree::entries;
pub(super) use volume::UdfVolume;
