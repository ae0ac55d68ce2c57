//! `firstboot`: the node's postscripts, each once, whatever is interrupted.
//!
//! What comes in is the node's list (`postscripts.json`, see [`definitions::Runlist`]) and the programs
//! that it names, over HTTP from the management node; what goes out are the scripts' effects, their output
//! on standard output and in `/var/log/slipway/`, and `/var/lib/slipway/status.json`, which is whole at any
//! moment. The story is `list → programs → each script in order → what waits for the network again →
//! done`. It goes on after a failure and ends with the last one's code.
//!
//! A program whose bytes are not those that the list names is never run. No shell sees a line of the list,
//! no name is looked up, and of the environment nothing is printed. States are reported to slipwayd by
//! the node's certificate, or before it has one, and elsewhere, as xCAT's nodes do (`installstatus`); nothing depends on it.

mod cli;
mod diagnosis;
mod job;
mod list;
mod output;
mod paths;
mod programs;
mod record;
mod report;
mod run;
mod runner;
mod script;
mod show;
mod signals;
mod site_report;
mod start;
mod status_file;
mod unit;
mod xcat_status;

pub use cli::Args;
pub use run::run;
pub(crate) use unit::enable_below;
pub(crate) use xcat_status::report_failure;
