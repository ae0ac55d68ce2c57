//! Digests as media state them: which algorithm, which value, and how to compute one.
//!
//! Text comes in (`sha256` and 64 hex digits), or bytes to hash; a [`Digest`] goes out. Nothing here
//! reads a file. MD5 and SHA-1 are here because media of every age carry nothing else for some of
//! their files: they find a damaged disc, they prove nothing about who made it.

use std::fmt;
use std::str::FromStr;

use definitions::hex;
use sha2::Digest as _;

/// A hash algorithm, weakest first, so that the greater of two is the one to believe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// 128 bits; finds damage.
    Md5,
    /// 160 bits; finds damage.
    Sha1,
    /// 256 bits.
    Sha256,
    /// 384 bits.
    Sha384,
    /// 512 bits.
    Sha512,
}

/// The value of one hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest {
    algorithm: Algorithm,
    bytes: [u8; 64],
}

/// A hash that is being computed.
#[derive(Debug, Clone)]
pub struct Hasher(HashState);

#[derive(Debug, Clone)]
enum HashState {
    Md5(md5::Md5),
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
    Sha384(sha2::Sha384),
    Sha512(sha2::Sha512),
}

impl Algorithm {
    /// Every algorithm, weakest first.
    pub const ALL: [Self; 5] = [
        Self::Md5,
        Self::Sha1,
        Self::Sha256,
        Self::Sha384,
        Self::Sha512,
    ];

    /// Whether a digest of it can vouch for a file: MD5 and SHA-1 can be forged.
    pub fn is_strong(self) -> bool {
        self >= Self::Sha256
    }

    /// Returns how many bytes its digests have.
    pub fn digest_len(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// Returns the name that metadata gives it: `sha256`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }
}

/// Prints the name that people read: `SHA-256`.
impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA-1",
            Self::Sha256 => "SHA-256",
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
        })
    }
}

/// Takes the names of metadata in any case (`sha256`, `SHA256`), and `sha`, which is SHA-1 in old
/// rpm-md.
impl FromStr for Algorithm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let lower = text.to_ascii_lowercase();
        Self::ALL
            .into_iter()
            .find(|algorithm| {
                algorithm.name() == lower || (lower == "sha" && *algorithm == Self::Sha1)
            })
            .ok_or_else(|| format!("'{}' is no hash algorithm known here", text.escape_debug()))
    }
}

impl Digest {
    /// Reads the hex digits of a digest of `algorithm`.
    ///
    /// # Errors
    /// Says in words what is wrong with them.
    pub fn parse(algorithm: Algorithm, text: &str) -> Result<Self, String> {
        let digits = text.as_bytes();
        let wrong = || {
            let short: String = text.chars().take(140).collect();
            format!("'{}' is no {algorithm} value", short.escape_debug())
        };
        if digits.len() != 2 * algorithm.digest_len() {
            return Err(wrong());
        }
        let mut bytes = [0; 64];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let nibble = |digit: u8| char::from(digit).to_digit(16);
            let (high, low) = nibble(pair[0]).zip(nibble(pair[1])).ok_or_else(wrong)?;
            *byte = u8::try_from(high << 4 | low).map_err(|_| wrong())?;
        }
        Ok(Self { algorithm, bytes })
    }

    /// Reads hex digits whose number says which algorithm made them, as `*sum` files have them.
    ///
    /// # Errors
    /// When no algorithm has digests of that length, or when these are no hex digits.
    pub fn parse_by_length(text: &str) -> Result<Self, String> {
        let algorithm = Algorithm::ALL
            .into_iter()
            .find(|algorithm| 2 * algorithm.digest_len() == text.len())
            .ok_or_else(|| format!("{} characters are no digest known here", text.len()))?;
        Self::parse(algorithm, text)
    }

    /// Hashes bytes that are in memory.
    pub fn of(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }

    /// Takes the value that a hash of `algorithm` has.
    fn new(algorithm: Algorithm, value: &[u8]) -> Self {
        let mut bytes = [0; 64];
        bytes[..value.len()].copy_from_slice(value);
        Self { algorithm, bytes }
    }

    /// Returns the algorithm that made it.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Orders digests of one file by what they are worth. SHA-256 is hashed anyway and leaves no doubt, so that
    /// nothing comes before it.
    pub fn rank(&self) -> u8 {
        match self.algorithm {
            Algorithm::Md5 => 0,
            Algorithm::Sha1 => 1,
            Algorithm::Sha384 => 2,
            Algorithm::Sha512 => 3,
            Algorithm::Sha256 => 4,
        }
    }

    /// Returns its value.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.algorithm.digest_len()]
    }
}

/// Prints lower-case hex digits, as `sha256sum` does.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&hex(self.as_bytes()))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{self}", self.algorithm.name())
    }
}

impl Hasher {
    /// Starts a hash.
    pub fn new(algorithm: Algorithm) -> Self {
        Self(match algorithm {
            Algorithm::Md5 => HashState::Md5(md5::Md5::new()),
            Algorithm::Sha1 => HashState::Sha1(sha1::Sha1::new()),
            Algorithm::Sha256 => HashState::Sha256(sha2::Sha256::new()),
            Algorithm::Sha384 => HashState::Sha384(sha2::Sha384::new()),
            Algorithm::Sha512 => HashState::Sha512(sha2::Sha512::new()),
        })
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            HashState::Md5(state) => state.update(bytes),
            HashState::Sha1(state) => state.update(bytes),
            HashState::Sha256(state) => state.update(bytes),
            HashState::Sha384(state) => state.update(bytes),
            HashState::Sha512(state) => state.update(bytes),
        }
    }

    /// Ends the hash and returns its value.
    pub fn finish(self) -> Digest {
        match self.0 {
            HashState::Md5(state) => Digest::new(Algorithm::Md5, &state.finalize()),
            HashState::Sha1(state) => Digest::new(Algorithm::Sha1, &state.finalize()),
            HashState::Sha256(state) => Digest::new(Algorithm::Sha256, &state.finalize()),
            HashState::Sha384(state) => Digest::new(Algorithm::Sha384, &state.finalize()),
            HashState::Sha512(state) => Digest::new(Algorithm::Sha512, &state.finalize()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_algorithm_hashes_abc_as_its_standard_says() {
        for (algorithm, hex) in [
            (Algorithm::Md5, "900150983cd24fb0d6963f7d28e17f72"),
            (Algorithm::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (
                Algorithm::Sha256,
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
            (
                Algorithm::Sha384,
                "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed\
                 8086072ba1e7cc2358baeca134c825a7",
            ),
            (
                Algorithm::Sha512,
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                 2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
            ),
        ] {
            assert_eq!(Digest::of(algorithm, b"abc").to_string(), hex);
            assert_eq!(
                Digest::parse(algorithm, hex).unwrap(),
                Digest::of(algorithm, b"abc")
            );
            assert_eq!(Digest::parse_by_length(hex).unwrap().algorithm(), algorithm);
        }
    }

    #[test]
    fn what_is_no_digest_is_refused_in_words() {
        let message = |hex| Digest::parse(Algorithm::Md5, hex).unwrap_err();
        assert_eq!(message("abc"), "'abc' is no MD5 value");
        assert_eq!(
            message("+00150983cd24fb0d6963f7d28e17f72"),
            "'+00150983cd24fb0d6963f7d28e17f72' is no MD5 value"
        );
        assert_eq!(
            Digest::parse_by_length("abc").unwrap_err(),
            "3 characters are no digest known here"
        );
        assert_eq!(
            "crc32".parse::<Algorithm>().unwrap_err(),
            "'crc32' is no hash algorithm known here"
        );
    }

    #[test]
    fn a_stronger_algorithm_is_the_greater_one() {
        assert!(Algorithm::ALL.is_sorted());
        assert_eq!("SHA".parse::<Algorithm>().unwrap(), Algorithm::Sha1);
        assert_eq!("SHA256".parse::<Algorithm>().unwrap(), Algorithm::Sha256);
    }

    proptest! {
        #[test]
        fn what_prints_parses_to_itself(which in 0usize..5, bytes: Vec<u8>) {
            let digest = Digest::of(Algorithm::ALL[which], &bytes);
            prop_assert_eq!(Digest::parse(digest.algorithm(), &digest.to_string()).unwrap(), digest);
        }

        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = Digest::parse(Algorithm::Sha256, &text);
            let _ = Digest::parse_by_length(&text);
        }
    }
}
