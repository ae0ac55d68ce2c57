//! The command lines of `nodeset`, `genimage`, `packimage`, `imgexport` and `imgimport`.

pub(crate) mod genimage;
pub(crate) mod imgexport;
pub(crate) mod imgimport;
pub(crate) mod nodeset;
pub(crate) mod packimage;
