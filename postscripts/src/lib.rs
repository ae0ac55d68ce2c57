//! What a host runs once it is installed: small static programs, each one step of the bring-up.
//!
//! `bridgeprereq` moves the host's uplink into a bridge as a transaction: [`net`] reads what the
//! kernel says as plain values and changes it, [`persist`] writes the same into the files of whatever
//! configures this host's network at boot. Nothing here runs a shell, resolves a name or asks a name
//! service.

pub mod net;
pub mod persist;
