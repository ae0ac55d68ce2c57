//! Install media into trees and osimage definitions.
//!
//! A medium comes in (an image, a device, a directory); a published tree with a manifest and the
//! definitions of its osimages go out. The story is `open → recognise → copy → describe`, one module
//! each. Nothing here mounts anything, needs root, or believes a byte of the medium unchecked.

pub mod claims;
pub mod copy;
pub mod digest;
pub mod media;
pub mod recognise;
