//! `imgexport`: an osimage as one file.

pub use crate::cli::imgexport::run;
