//! `packimage`: what `genimage` built, packed for nodes to boot.

pub use crate::cli::packimage::run;
