//! The command lines of `nodeset` and `genimage`.

pub mod genimage;
pub mod nodeset;
