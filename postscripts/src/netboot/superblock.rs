//! The label of a file system on a block device, as its superblock has it. Pure.
//!
//! Reference: ext4, Documentation/filesystems/ext4/super.rst; XFS, `struct xfs_dsb` in fs/xfs/libxfs/xfs_format.h.

/// How many bytes of a device are needed.
pub(super) const HEAD_BYTES: usize = 2048;

/// A file system that state can be kept on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StateFs {
    /// Its name, which mount(2) takes.
    pub(super) fs_type: &'static str,
    /// Its label.
    pub(super) label: String,
}

/// Reads which file system begins with these bytes.
pub(super) fn identify(head: &[u8]) -> Option<StateFs> {
    let label = |at: usize, length: usize| {
        let bytes = head.get(at..at + length)?;
        let end = bytes.iter().position(|&b| b == 0).unwrap_or(length);
        Some(String::from_utf8_lossy(&bytes[..end]).into_owned())
    };
    if head.starts_with(b"XFSB") {
        let label = label(108, 12)?;
        return Some(StateFs {
            fs_type: "xfs",
            label,
        });
    }
    // the superblock of ext2, ext3 and ext4 begins at byte 1024; ext4 mounts all of them
    if head.get(1024 + 0x38..1024 + 0x3a)? == [0x53, 0xef] {
        let label = label(1024 + 0x78, 16)?;
        return Some(StateFs {
            fs_type: "ext4",
            label,
        });
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_read_from_the_superblock() {
        let mut ext4 = vec![0; HEAD_BYTES];
        ext4[1024 + 0x38..][..2].copy_from_slice(&[0x53, 0xef]);
        ext4[1024 + 0x78..][..6].copy_from_slice(b"docker");
        let mut xfs = vec![0; HEAD_BYTES];
        xfs[..4].copy_from_slice(b"XFSB");
        xfs[108..120].copy_from_slice(b"docker-state");
        for (head, expected) in [
            (&ext4[..], Some(("ext4", "docker"))),
            (&xfs[..], Some(("xfs", "docker-state"))),
            (&[0; HEAD_BYTES][..], None),
            (b"XFSB", None),
            (b"", None),
        ] {
            let found = identify(head);
            let found = found
                .as_ref()
                .map(|found| (found.fs_type, found.label.as_str()));
            assert_eq!(found, expected);
        }
    }
}
