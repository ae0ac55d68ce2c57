//! Whether a root image fits into the machine's memory, known before it is fetched: the kernel would otherwise end
//! programs, this one first.

use std::fs;

use anyhow::{Context, Result, bail};

/// What a system needs beside its root image, to come up at all.
const MIN_BESIDE_IMAGE: u64 = 256 << 20;

/// Refuses an image that leaves too little memory.
///
/// # Errors
/// With how much there is, and how much it would take.
pub(super) fn check(image_bytes: u64) -> Result<()> {
    fits(&meminfo()?, image_bytes)
}

/// Returns how many bytes of memory the machine has.
pub(super) fn total() -> Result<u64> {
    bytes(&meminfo()?, "MemTotal")
}

fn meminfo() -> Result<String> {
    fs::read_to_string("/proc/meminfo").context("reading /proc/meminfo")
}

fn fits(meminfo: &str, image_bytes: u64) -> Result<()> {
    let available = bytes(meminfo, "MemAvailable")?;
    let needed = image_bytes.saturating_add(MIN_BESIDE_IMAGE);
    if available >= needed {
        return Ok(());
    }
    bail!(
        "the root image takes {} MiB of memory and the system at least {} MiB beside it, and {} MiB of {} MiB are free: \
         give the machine more memory, or leave more out of the image (exlist)",
        image_bytes.div_ceil(1 << 20),
        MIN_BESIDE_IMAGE >> 20,
        available >> 20,
        bytes(meminfo, "MemTotal")? >> 20
    )
}

/// Reads a number of `/proc/meminfo`, proc_meminfo(5).
fn bytes(meminfo: &str, name: &str) -> Result<u64> {
    let value = meminfo
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kib = value.and_then(|value| value.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.and_then(|kib| kib.checked_mul(1024))
        .with_context(|| format!("/proc/meminfo has no {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_that_does_not_fit_is_refused_with_what_it_takes() {
        let meminfo = "MemTotal:        1013000 kB\nMemFree: 1 kB\nMemAvailable:     524288 kB\n";
        assert!(fits(meminfo, 256 << 20).is_ok());
        assert_eq!(
            fits(meminfo, (256 << 20) + 1).unwrap_err().to_string(),
            "the root image takes 257 MiB of memory and the system at least 256 MiB beside it, and 512 MiB of 989 MiB \
             are free: give the machine more memory, or leave more out of the image (exlist)"
        );
        assert!(fits(meminfo, u64::MAX).is_err());
        assert_eq!(
            fits("MemTotal: 1 kB\n", 1).unwrap_err().to_string(),
            "/proc/meminfo has no MemAvailable"
        );
    }
}
