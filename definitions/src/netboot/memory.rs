//! Memory of a diskless node that is written to: how much, and in which form.

use std::str::FromStr;

use crate::Error;

words! {
    /// What keeps, in memory, what is written to the root of a diskless node.
    OverlayDevice: "memory for what is written to the root", "'tmpfs' or 'zram'";
    /// Memory as it is.
    #[default]
    Tmpfs = "tmpfs",
    /// A device that compresses what is written to it, with ext4 on it.
    Zram = "zram"
}

/// How much of a node's memory something may take: `50%` of it, `4G`, `512M`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MemoryBound(String);

crate::name::text! { MemoryBound }

impl MemoryBound {
    /// Returns how many bytes that is of a machine's memory.
    pub fn bytes(&self, of: u64) -> u64 {
        let (digits, unit) = self.0.split_at(self.0.len() - 1);
        let number: u64 = digits.parse().unwrap_or_default();
        match unit {
            "%" => of / 100 * number + of % 100 * number / 100,
            "M" => number << 20,
            _ => number << 30,
        }
    }
}

impl FromStr for MemoryBound {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parse = |digits: &str| {
            let plain = !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
            digits.parse::<u32>().ok().filter(|_| plain)
        };
        let fits = match text.char_indices().last() {
            Some((end, '%')) => parse(&text[..end]).is_some_and(|share| (1..=90).contains(&share)),
            Some((end, 'M' | 'G')) => parse(&text[..end]).is_some(),
            _ => false,
        };
        if fits {
            return Ok(Self(text.to_owned()));
        }
        let expected = "a share of the memory from '1%' to '90%', or a size such as '512M' or '4G'";
        Err(Error::invalid("a bound for memory", text, expected))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_leaves_memory_for_the_system() {
        for text in ["1%", "50%", "90%", "512M", "4G"] {
            assert_eq!(&*text.parse::<MemoryBound>().unwrap(), text);
        }
        for text in [
            "",
            "0%",
            "91%",
            "100%",
            "50",
            "4g",
            "4T",
            "-1G",
            "+1G",
            "G",
            "%",
            "05%",
            "1G,mode=0777",
        ] {
            assert_eq!(
                text.parse::<MemoryBound>().unwrap_err().to_string(),
                format!(
                    "'{text}' is not a bound for memory: expected a share of the memory from '1%' to '90%', or a size such as \
                     '512M' or '4G'"
                )
            );
        }
    }

    #[test]
    fn a_bound_is_a_number_of_bytes_of_a_machine() {
        for (text, expected) in [
            ("1%", 1_000_000_000),
            ("25%", 25_000_000_000),
            ("512M", 512 << 20),
            ("4G", 4 << 30),
            ("4294967295G", 4_294_967_295 << 30),
        ] {
            let bound: MemoryBound = text.parse().unwrap();
            assert_eq!(bound.bytes(100_000_000_000), expected, "{text}");
        }
        let most: MemoryBound = "90%".parse().unwrap();
        assert_eq!(most.bytes(u64::MAX), u64::MAX / 100 * 90 + 13);
        assert_eq!(most.bytes(10), 9);
    }
}
