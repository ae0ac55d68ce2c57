//! Fixed-layout structures of foreign bytes, field by field, and the numbers that count them.
//!
//! A slice that some disc filled comes in; checked fields go out. Nothing here can read beyond the
//! slice: a structure that is too short for its own fields is an error, never a panic. ECMA-119 §7.2.3
//! and §7.3.3 record many numbers twice, low byte first and then high byte first; both are read, and a
//! pair that differs is an error, because one of the two must be damaged and nothing says which.

use thiserror::Error;

/// Bytes in one logical sector of every medium read here (ECMA-119 §6.1.2, ECMA-167 2/8.1.1).
pub(super) const SECTOR: u64 = 2048;

/// The number of a logical sector, from the start of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Sector(pub(super) u64);

impl Sector {
    /// Returns where it begins, in bytes; saturates beyond any image.
    pub(super) fn offset(self) -> u64 {
        self.0.saturating_mul(SECTOR)
    }
}

/// Why a field cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum FieldError {
    /// The structure ends too early.
    #[error("it holds {have} bytes, too few for the field of {len} bytes at byte {at}")]
    Short { at: usize, len: usize, have: usize },
    /// The two byte orders of one number disagree.
    #[error(
        "its field at byte {at} is {little} with the low byte first but {big} with the high byte first"
    )]
    Differs { at: usize, little: u32, big: u32 },
}

/// A structure as it is on the medium.
#[derive(Debug, Clone, Copy)]
pub(super) struct ByteFields<'a>(pub(super) &'a [u8]);

impl<'a> ByteFields<'a> {
    /// Returns `len` bytes from byte `at`.
    pub(super) fn slice(self, at: usize, len: usize) -> Result<&'a [u8], FieldError> {
        let short = FieldError::Short {
            at,
            len,
            have: self.0.len(),
        };
        let end = at.checked_add(len).ok_or(short)?;
        self.0.get(at..end).ok_or(short)
    }

    fn array<const N: usize>(self, at: usize) -> Result<[u8; N], FieldError> {
        let mut array = [0; N];
        array.copy_from_slice(self.slice(at, N)?);
        Ok(array)
    }

    /// Reads one byte.
    pub(super) fn byte(self, at: usize) -> Result<u8, FieldError> {
        Ok(self.array::<1>(at)?[0])
    }

    /// Reads two bytes, low first (ECMA-119 §7.2.1).
    pub(super) fn le16(self, at: usize) -> Result<u16, FieldError> {
        Ok(u16::from_le_bytes(self.array(at)?))
    }

    /// Reads four bytes, low first (ECMA-119 §7.3.1).
    pub(super) fn le32(self, at: usize) -> Result<u32, FieldError> {
        Ok(u32::from_le_bytes(self.array(at)?))
    }

    /// Reads eight bytes, low first (ECMA-167 1/7.1.7).
    pub(super) fn le64(self, at: usize) -> Result<u64, FieldError> {
        Ok(u64::from_le_bytes(self.array(at)?))
    }

    /// Reads a number recorded twice in two bytes each (ECMA-119 §7.2.3).
    pub(super) fn both16(self, at: usize) -> Result<u16, FieldError> {
        let (little, big) = (self.le16(at)?, u16::from_be_bytes(self.array(at + 2)?));
        let differs = FieldError::Differs {
            at,
            little: little.into(),
            big: big.into(),
        };
        (little == big).then_some(little).ok_or(differs)
    }

    /// Reads a number recorded twice in four bytes each (ECMA-119 §7.3.3).
    pub(super) fn both32(self, at: usize) -> Result<u32, FieldError> {
        let (little, big) = (self.le32(at)?, u32::from_be_bytes(self.array(at + 4)?));
        let differs = FieldError::Differs { at, little, big };
        (little == big).then_some(little).ok_or(differs)
    }
}

/// Returns a fixed-width text field without its padding; bytes that are no ASCII become `\u{fffd}`.
pub(super) fn text(field: &[u8]) -> String {
    let end = field.iter().position(|&byte| byte == 0);
    let field = &field[..end.unwrap_or(field.len())];
    String::from_utf8_lossy(field).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_both_orders_and_must_agree() {
        let good = ByteFields(&[1, 2, 3, 4, 4, 3, 2, 1]);
        assert_eq!(good.both32(0), Ok(0x0403_0201));
        let bad = ByteFields(&[5, 0, 0, 0, 0, 0, 0, 6]);
        assert_eq!(
            bad.both32(0).unwrap_err().to_string(),
            "its field at byte 0 is 5 with the low byte first but 6 with the high byte first"
        );
        assert_eq!(ByteFields(&[9, 1, 1, 9]).both16(0), Ok(0x0109));
    }

    #[test]
    fn a_field_beyond_the_end_is_an_error() {
        assert_eq!(
            ByteFields(&[0; 3]).le32(0).unwrap_err().to_string(),
            "it holds 3 bytes, too few for the field of 4 bytes at byte 0"
        );
        assert!(ByteFields(&[0; 3]).byte(usize::MAX).is_err());
    }

    #[test]
    fn padding_is_not_part_of_a_text() {
        assert_eq!(text(b"Debian 12.9.0 amd64 1   "), "Debian 12.9.0 amd64 1");
        assert_eq!(text(b"AB\0junk"), "AB");
        assert_eq!(text(b"    "), "");
    }
}
