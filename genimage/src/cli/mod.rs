//! The command lines of `nodeset` and `genimage`.

pub(crate) mod genimage;
pub(crate) mod nodeset;
