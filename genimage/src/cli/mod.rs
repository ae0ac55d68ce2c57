//! The command lines of `nodeset`, `genimage` and `packimage`.

pub(crate) mod genimage;
pub(crate) mod nodeset;
pub(crate) mod packimage;
