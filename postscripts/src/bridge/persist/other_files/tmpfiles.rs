//! tmpfiles.d: lines that write a setting of the NIC at boot. Reference: tmpfiles.d(5).

use super::{RewriteContext, UnclearLine, lines};
use crate::bridge::persist::names::rename;

pub(super) fn rewrite(
    text: &str,
    context: &RewriteContext<'_>,
) -> Result<String, Vec<UnclearLine>> {
    let desired = context.desired;
    lines::each(text, context, |line| {
        let path = line.split_whitespace().nth(1).unwrap_or_default();
        if path.starts_with("/proc/sys/net/") {
            Some(rename(line, &desired.nic, &desired.bridge))
        } else {
            path.starts_with("/sys/").then(|| line.to_owned())
        }
    })
}
