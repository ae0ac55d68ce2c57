//! Where a person reads how the boot goes: the console, and the kernel's log, which the journal keeps.

use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::Write;

/// A place for lines.
#[derive(Debug, Clone, Copy)]
pub(super) struct Console {
    devices: &'static [(&'static str, &'static str)],
}

impl Console {
    /// The machine's console, and the kernel's log at a level that is not printed again.
    pub(super) fn of_machine() -> Self {
        Self {
            devices: &[("/dev/console", ""), ("/dev/kmsg", "<7>")],
        }
    }

    /// Standard error.
    pub(super) fn standard_error() -> Self {
        Self { devices: &[] }
    }

    /// Prints a line; that nobody can read it stops nothing.
    pub(super) fn say(&self, line: impl Display) {
        if self.devices.is_empty() {
            error_line!("netboot: {line}");
        }
        for (device, level) in self.devices {
            if let Ok(mut device) = OpenOptions::new().write(true).open(device) {
                let _ = device.write_all(format!("{level}netboot: {line}\n").as_bytes());
            }
        }
    }
}
