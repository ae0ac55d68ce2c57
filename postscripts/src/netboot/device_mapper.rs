//! The kernel's device mapper: a block device that is made of another one.
//!
//! It is reached by ioctl(2) alone, for which there is no crate of a licence that Slipway takes; the one call is here.
//! A message is a header, and for a table one target after it.
//! Reference: include/uapi/linux/dm-ioctl.h, version 4 of the interface (kernel 2.6.0 and later).

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::request_code_readwrite;
use nix::sys::stat::minor;

/// What takes the orders; the kernel makes it (`devtmpfs`).
const CONTROL: &str = "/dev/mapper/control";
/// The letter of the device mapper's orders.
const DM_IOCTL: u8 = 0xfd;
/// The version of the interface.
const VERSION: [u32; 3] = [4, 0, 0];
/// Offsets in `struct dm_ioctl`, and its size.
const DATA_SIZE: usize = 12;
const DATA_START: usize = 16;
const TARGET_COUNT: usize = 20;
const FLAGS: usize = 28;
const DEVICE: usize = 40;
const NAME: usize = 48;
const HEADER_BYTES: usize = 312;
/// Offsets in `struct dm_target_spec`, and its size.
const LENGTH: usize = 8;
const TARGET_TYPE: usize = 24;
const TARGET_BYTES: usize = 40;
/// That nothing is written to the device.
const DM_READONLY_FLAG: u32 = 1;
/// What the length of a device is counted in, in bytes.
const SECTOR: u64 = 512;

/// What is done with a device.
#[derive(Debug, Clone, Copy)]
enum Order {
    Create = 3,
    Remove = 4,
    /// Uses the table that was loaded: the name of it is that of its opposite.
    Resume = 6,
    LoadTable = 9,
}

/// What a device is made of.
#[derive(Debug)]
pub(super) struct Target {
    /// How many bytes the device has, a multiple of 512.
    pub(super) bytes: u64,
    /// The type of the target: `verity`.
    pub(super) kind: &'static str,
    /// Its parameters, as the type has them.
    pub(super) parameters: String,
}

/// The device mapper.
#[derive(Debug)]
pub(super) struct DeviceMapper {
    control: File,
}

impl DeviceMapper {
    /// Opens it; its module is loaded already.
    ///
    /// # Errors
    /// When the kernel has none.
    pub(super) fn open() -> Result<Self> {
        let control = OpenOptions::new().read(true).write(true).open(CONTROL);
        let control = control.with_context(|| format!("opening {CONTROL}"))?;
        Ok(Self { control })
    }

    /// Makes a device that nothing is written to; returns its path.
    ///
    /// # Errors
    /// When the kernel refuses it; then there is no device.
    pub(super) fn create_read_only(&self, name: &str, target: &Target) -> Result<PathBuf> {
        let mut message = Message::of(name, 0);
        self.send(Order::Create, &mut message)
            .with_context(|| format!("making the device {name}"))?;
        let device = Path::new("/dev").join(format!("dm-{}", minor(message.device())));
        let mut table = Message::of(name, DM_READONLY_FLAG).with(target);
        let used = self
            .send(Order::LoadTable, &mut table)
            .and_then(|()| self.send(Order::Resume, &mut Message::of(name, 0)));
        if used.is_err() {
            // the reason is that of the table
            let _ = self.send(Order::Remove, &mut Message::of(name, 0));
        }
        used.with_context(|| format!("loading '{} {}'", target.kind, target.parameters))?;
        Ok(device)
    }

    /// Sends an order; the kernel answers into the message.
    #[expect(unsafe_code, reason = "the device mapper has no other interface")]
    fn send(&self, order: Order, message: &mut Message) -> io::Result<()> {
        let request = request_code_readwrite!(DM_IOCTL, order as u8, HEADER_BYTES);
        let bytes = message.bytes.as_mut_ptr();
        // SAFETY: the kernel reads and writes as many bytes as the message says of itself (DATA_SIZE), which Message keeps
        // equal to the length of its buffer, and no byte of it once the call has returned.
        let code = unsafe { nix::libc::ioctl(self.control.as_raw_fd(), request, bytes) };
        Ok(Errno::result(code).map(drop)?)
    }
}

/// An order's `struct dm_ioctl`, with what follows it.
#[derive(Debug)]
struct Message {
    bytes: Vec<u8>,
}

impl Message {
    fn of(name: &str, flags: u32) -> Self {
        let mut message = Self {
            bytes: vec![0; HEADER_BYTES],
        };
        for (at, number) in (0..).step_by(4).zip(VERSION) {
            message.put(at, &number.to_ne_bytes());
        }
        message.put(FLAGS, &flags.to_ne_bytes());
        message.put(NAME, name.as_bytes());
        message.sized()
    }

    /// Adds the one target of a table.
    fn with(mut self, target: &Target) -> Self {
        self.put(DATA_START, &(HEADER_BYTES as u32).to_ne_bytes());
        self.put(TARGET_COUNT, &1_u32.to_ne_bytes());
        // the parameters end with a zero
        let end = (TARGET_BYTES + target.parameters.len() + 1).next_multiple_of(8);
        self.bytes.resize(HEADER_BYTES + end, 0);
        let sectors = target.bytes / SECTOR;
        self.put(HEADER_BYTES + LENGTH, &sectors.to_ne_bytes());
        self.put(HEADER_BYTES + TARGET_TYPE, target.kind.as_bytes());
        let parameters = target.parameters.as_bytes();
        self.put(HEADER_BYTES + TARGET_BYTES, parameters);
        self.sized()
    }

    /// Writes into the header how long the message is.
    fn sized(mut self) -> Self {
        let size = self.bytes.len() as u32;
        self.put(DATA_SIZE, &size.to_ne_bytes());
        self
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Returns the number of the device that the kernel made.
    fn device(&self) -> u64 {
        let mut number = [0; 8];
        number.copy_from_slice(&self.bytes[DEVICE..DEVICE + 8]);
        u64::from_ne_bytes(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_how_long_it_is_and_has_its_target_after_the_header() {
        let target = Target {
            bytes: 8192,
            kind: "verity",
            parameters: "1 /dev/ram0".to_owned(),
        };
        let message = Message::of("rootimg", DM_READONLY_FLAG).with(&target);
        let bytes = &message.bytes;
        let number = |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap());
        assert_eq!(bytes.len(), 312 + 56);
        let header = [0, 4, DATA_SIZE, DATA_START, TARGET_COUNT, FLAGS].map(number);
        assert_eq!(header, [4, 0, 368, 312, 1, 1]);
        assert_eq!(&bytes[NAME..NAME + 8], b"rootimg\0");
        assert_eq!(number(312 + LENGTH), 16);
        assert_eq!(&bytes[312 + TARGET_TYPE..][..7], b"verity\0");
        assert_eq!(&bytes[312 + TARGET_BYTES..], b"1 /dev/ram0\0\0\0\0\0");
        assert_eq!(Message::of("rootimg", 0).bytes.len(), 312);
    }
}
