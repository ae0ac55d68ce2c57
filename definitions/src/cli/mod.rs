//! `lsdef`, `mkdef`, `chdef` and `rmdef`, as xCAT's users know them.
//!
//! A command line or a stanza comes in; a listing or a changed catalog goes out. A change is made whole
//! or not at all: every object is checked before the first file is written.

pub mod chdef;
pub mod lsdef;
pub mod mkdef;
pub mod rmdef;

mod assignment;
mod groups;
mod listing;
mod object_errors;
mod report;
mod request;
mod spread;
