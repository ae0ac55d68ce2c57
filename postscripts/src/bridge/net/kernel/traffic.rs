//! Traffic control (tc(8)): how devices queue, and filters that name a device.

use std::io;

use nix::libc;

use super::HostKernel;
use crate::bridge::net::message::{self, Queueing, TrafficFilter};

/// What the kernel gives devices by itself.
const BY_ITSELF: [&str; 5] = ["noqueue", "mq", "pfifo_fast", "fq_codel", "fq"];

impl HostKernel {
    /// Names the kinds of queueing that somebody gave a device.
    ///
    /// # Errors
    /// When the kernel refuses to answer.
    pub(in crate::bridge::net) fn shapers(&self, index: u32) -> io::Result<Vec<String>> {
        let mut kinds = Vec::new();
        for Queueing { device, kind, .. } in self.queueing()? {
            if device == index && !BY_ITSELF.contains(&kind.as_str()) && !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        Ok(kinds)
    }

    /// Returns the filters that name a device, each with the number of the device that it is on.
    ///
    /// # Errors
    /// When the kernel's answer makes no sense.
    pub(in crate::bridge::net) fn filters(&self) -> io::Result<Vec<(u32, TrafficFilter)>> {
        let mut found = Vec::new();
        for Queueing {
            device, filters, ..
        } in self.queueing()?
        {
            for parent in filters {
                let request = message::encode_filter_request(device, parent);
                // many kinds of queueing have no filters, and refuse to be asked
                for body in self
                    .netlink
                    .dump(libc::RTM_GETTFILTER, request)
                    .unwrap_or_default()
                {
                    found.extend(message::decode_filter(&body)?.map(|filter| (device, filter)));
                }
            }
        }
        Ok(found)
    }

    fn queueing(&self) -> io::Result<Vec<Queueing>> {
        let request = message::encode_queueing_request();
        let dump = self.netlink.dump(libc::RTM_GETQDISC, request)?;
        let read = dump.iter().map(|body| message::decode_queueing(body));
        read.filter_map(Result::transpose).collect()
    }
}
