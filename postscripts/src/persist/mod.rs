//! The same bridge at the next boot: the files of whatever configures this host's network.

mod wish;

pub use wish::{Addressing, Dns, StaticAddress, StaticRoute, Wish};
