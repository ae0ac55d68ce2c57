//! LZ4 frames, one after another, as apt writes and reads `Packages.lz4`.
//!
//! A packed stream comes in; what is in its frames goes out. A frame ends where its end mark is, and nowhere else: the
//! decoder takes a file that ends between two blocks for a whole one, so that its source must not end within a frame.
//! Blocks have at most 4 MiB, which is what bounds the memory.
//!
//! Reference: the LZ4 frame format, version 1.6.

use std::io::{self, BufRead, Read};

use lz4_flex::frame::FrameDecoder;

/// The frames of a stream.
pub(crate) struct Lz4Frames<R: Read> {
    /// The decoder of the present frame; before the first and between two of them the source alone.
    state: Option<FrameState<R>>,
}

enum FrameState<R: Read> {
    Between(R),
    Within(Box<FrameDecoder<FrameSource<R>>>),
}

impl<R: BufRead> Lz4Frames<R> {
    pub(crate) fn new(packed: R) -> Self {
        Self {
            state: Some(FrameState::Between(packed)),
        }
    }
}

impl<R: BufRead> Read for Lz4Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.state.take() {
                // It ended, or an error did away with it.
                None => return Ok(0),
                Some(FrameState::Between(mut packed)) => {
                    if packed.fill_buf()?.is_empty() {
                        return Ok(0);
                    }
                    let decoder = FrameDecoder::new(FrameSource(packed));
                    self.state = Some(FrameState::Within(Box::new(decoder)));
                }
                Some(FrameState::Within(mut decoder)) => match decoder.read(buffer)? {
                    0 if !buffer.is_empty() => {
                        let FrameSource(packed) = decoder.into_inner();
                        self.state = Some(FrameState::Between(packed));
                    }
                    read => {
                        self.state = Some(FrameState::Within(decoder));
                        return Ok(read);
                    }
                },
            }
        }
    }
}

/// What a frame is read from: its end is an error.
struct FrameSource<R>(R);

impl<R: Read> Read for FrameSource<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer) {
            Ok(0) if !buffer.is_empty() => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "it ends within a frame",
            )),
            read => read,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
    use proptest::prelude::*;

    use super::*;

    fn packed(plain: &[u8], mode: BlockMode) -> Vec<u8> {
        let info = FrameInfo::new()
            .block_mode(mode)
            .block_size(BlockSize::Max64KB)
            .content_checksum(true);
        let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn unpacked(packed: &[u8]) -> io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        Lz4Frames::new(packed)
            .read_to_end(&mut plain)
            .map(|_| plain)
    }

    /// Two frames, of one of which each block refers to those before.
    fn two_frames() -> (Vec<u8>, Vec<u8>) {
        let plain: Vec<u8> = (0..50_000u32).flat_map(u32::to_le_bytes).collect();
        let linked = packed(&plain, BlockMode::Linked);
        let independent = packed(&plain[..100_000], BlockMode::Independent);
        (
            [linked, independent].concat(),
            [&plain[..], &plain[..100_000]].concat(),
        )
    }

    #[test]
    fn frames_follow_each_other_and_every_shorter_file_is_an_error() {
        let (packed, plain) = two_frames();
        assert!(unpacked(&packed).unwrap() == plain);
        assert!(unpacked(b"").unwrap().is_empty());
        let first = packed.len() - self::packed(&plain[200_000..], BlockMode::Independent).len();
        for end in (1..packed.len())
            .step_by(9973)
            .chain(packed.len() - 9..packed.len())
        {
            let error = unpacked(&packed[..end]);
            assert!(error.is_err() || end == first, "{end} bytes");
        }
        // The end mark and the checksum: the decoder alone takes what is before them for a whole file.
        let error = unpacked(&packed[..packed.len() - 8]).unwrap_err();
        assert_eq!(error.to_string(), "it ends within a frame");
    }

    #[test]
    fn a_changed_byte_is_an_error() {
        let (packed, _) = two_frames();
        for at in (0..packed.len()).step_by(1009) {
            let mut changed = packed.clone();
            changed[at] ^= 0x10;
            assert!(unpacked(&changed).is_err(), "byte {at}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = unpacked(&bytes);
            let frame = [&[0x04, 0x22, 0x4d, 0x18, 0x40, 0x40, 0xc0][..], &bytes].concat();
            let _ = unpacked(&frame);
        }
    }
}
