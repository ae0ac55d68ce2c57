//! MD5 of eight files at once.
//!
//! One MD5 is a chain of additions that each wait for the last (RFC 1321 §3.4), so that a core does a
//! third of what it could. Eight independent chains, one in each lane of a vector, take little longer
//! than one. Blocks of eight messages come in; the eight states move on. Portable: the vectors are
//! those of the `wide` crate, made of whatever the processor is known to have when this is compiled.

use wide::u32x8;

/// How many messages move on together.
pub(super) const LANES: usize = 8;
/// Bytes of a block.
pub(super) const BLOCK: usize = 64;

/// The state of one MD5 (RFC 1321 §3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Md5State([u32; 4]);

impl Md5State {
    /// The state of an empty message.
    pub(super) const START: Self = Self([0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476]);

    /// Returns the 16 bytes of the digest, once the padding has been taken.
    pub(super) fn bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        for (chunk, word) in bytes.chunks_exact_mut(4).zip(self.0) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// Takes whole blocks of one message alone.
    pub(super) fn update(&mut self, blocks: &[u8]) {
        md5::block_api::compress(&mut self.0, blocks.as_chunks().0);
    }
}

/// Returns what follows a message of `len` bytes, of which `tail` are beyond its last whole block: one
/// bit, zeros, the length in bits (RFC 1321 §3.1, §3.2). With the tail it fills whole blocks.
pub(super) fn padding(len: u64) -> Vec<u8> {
    let tail = usize::try_from(len % BLOCK as u64).unwrap_or(0);
    let zeros = (2 * BLOCK - 9 - tail) % BLOCK;
    let mut padding = vec![0; 1 + zeros];
    padding[0] = 0x80;
    padding.extend_from_slice(&len.wrapping_mul(8).to_le_bytes());
    padding
}

/// Lets eight messages take as many blocks as the shortest of them has here; returns how many.
pub(super) fn advance(states: &mut [Md5State; LANES], data: [&[u8]; LANES]) -> usize {
    let chunks = data.map(|bytes| bytes.as_chunks::<BLOCK>().0);
    let count = chunks.iter().map(|chunk| chunk.len()).min().unwrap_or(0);
    let mut state: [u32x8; 4] =
        std::array::from_fn(|word| u32x8::new(states.map(|state| state.0[word])));
    for block in 0..count {
        let words: [u32x8; 16] = std::array::from_fn(|word| {
            u32x8::new(
                chunks
                    .map(|chunk| chunk[block].as_chunks().0[word])
                    .map(u32::from_le_bytes),
            )
        });
        state = rounds(state, &words);
    }
    for (lane, to) in states.iter_mut().enumerate() {
        to.0 = state.map(|word| word.to_array()[lane]);
    }
    count
}

/// The four rounds of one block (RFC 1321 §3.4).
fn rounds(state: [u32x8; 4], words: &[u32x8; 16]) -> [u32x8; 4] {
    let mut s = state;
    s = round::<0, 1, 0>(s, words, [7, 12, 17, 22], |x, y, z| z ^ (x & (y ^ z)));
    s = round::<1, 5, 1>(s, words, [5, 9, 14, 20], |x, y, z| y ^ (z & (x ^ y)));
    s = round::<2, 3, 5>(s, words, [4, 11, 16, 23], |x, y, z| x ^ y ^ z);
    s = round::<3, 7, 0>(s, words, [6, 10, 15, 21], |x, y, z| y ^ (x | !z));
    std::array::from_fn(|word| s[word] + state[word])
}

/// Sixteen steps, the words taken in steps of `STRIDE` from `FIRST`.
#[inline(always)]
fn round<const ROUND: usize, const STRIDE: usize, const FIRST: usize>(
    [mut a, mut b, mut c, mut d]: [u32x8; 4],
    words: &[u32x8; 16],
    turns: [u32; 4],
    mix: impl Fn(u32x8, u32x8, u32x8) -> u32x8,
) -> [u32x8; 4] {
    for step in 0..16 {
        let word = words[(STRIDE * step + FIRST) % 16];
        let sum = a + mix(b, c, d) + word + u32x8::splat(SINES[16 * ROUND + step]);
        let turn = turns[step % 4];
        (a, d, c, b) = (d, c, b, b + ((sum << turn) | (sum >> (32 - turn))));
    }
    [a, b, c, d]
}

/// 2^32 times the sine of 1 to 64, without sign or fraction (RFC 1321 §3.4).
static SINES: [u32; 64] = [
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::{Algorithm, Digest};

    #[test]
    fn eight_messages_at_once_hash_as_each_does_alone() {
        for len in [0, 1, 55, 56, 57, 63, 64, 65, 119, 120, 128, 1000] {
            let messages: [Vec<u8>; LANES] = std::array::from_fn(|lane| {
                (0..len)
                    .map(|byte: usize| (byte * 7 + lane * 31) as u8)
                    .collect()
            });
            let padded = messages
                .each_ref()
                .map(|message| [message.as_slice(), &padding(message.len() as u64)].concat());
            let mut states = [Md5State::START; LANES];
            let blocks = advance(&mut states, padded.each_ref().map(Vec::as_slice));
            assert_eq!(blocks * BLOCK, padded[0].len(), "{len}");
            for (lane, message) in messages.iter().enumerate() {
                let alone = Digest::of(Algorithm::Md5, message);
                assert_eq!(
                    states[lane].bytes(),
                    alone.as_bytes(),
                    "{len} bytes, lane {lane}"
                );
                let mut one = Md5State::START;
                one.update(&padded[lane]);
                assert_eq!(one, states[lane]);
            }
        }
    }
}
