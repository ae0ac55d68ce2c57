//! `imgimport`: an osimage from one file.

pub use crate::cli::imgimport::run;
