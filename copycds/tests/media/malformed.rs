//! Images that no tool makes: a good one with bytes changed, and files that are no images.

use std::fs::{self, File};
use std::ops::Range;
use std::path::PathBuf;

use copycds::media::Medium;
use tempfile::TempDir;

use crate::Case;
use crate::built::{place, zisofs};
use crate::cases;
use crate::needs::Need::Tool;
use crate::tools::genisoimage;

pub(crate) const CASES: &[Case] = cases! {
    &[] => a_file_that_is_no_image_is_called_what_it_is;
    &[Tool("genisoimage")] =>
        a_truncated_image_says_how_much_is_missing
        an_image_that_shrinks_while_it_is_read_is_an_error
        damaged_volume_descriptors_are_refused
        damaged_directory_records_are_refused
        names_that_lead_elsewhere_are_refused
        directories_that_are_met_twice_are_refused
        damaged_system_use_fields_are_refused
        what_is_no_file_is_refused_by_name
        damaged_boot_catalogs_are_refused
        damaged_joliet_names_are_refused;
    &[Tool("genisoimage"), Tool("mkzftree")] => damaged_zisofs_files_are_refused_by_name;
};

/// An image in memory, to be damaged.
#[derive(Clone)]
struct Image {
    bytes: Vec<u8>,
}

impl Image {
    /// Makes a small one with everything that can be damaged.
    fn make(place: &TempDir, options: &str) -> Self {
        let tree = place.path().join("tree");
        fs::create_dir_all(tree.join("outer/inner")).unwrap();
        fs::create_dir_all(tree.join("sibling")).unwrap();
        fs::write(tree.join("hello.txt"), "hello\n").unwrap();
        fs::write(tree.join("other.txt"), "other\n").unwrap();
        fs::write(tree.join("n".repeat(200)), "a name that is continued").unwrap();
        fs::write(tree.join("boot.bin"), [0; 2048]).unwrap();
        std::os::unix::fs::symlink("some/where", tree.join("link")).unwrap();
        Self::load(genisoimage(&tree, options))
    }

    fn load(image: PathBuf) -> Self {
        let bytes = fs::read(&image).unwrap();
        fs::remove_file(&image).unwrap();
        Self { bytes }
    }

    /// Finds where a directory record with this identifier stands.
    fn record(&self, identifier: &[u8]) -> usize {
        let len = u8::try_from(identifier.len()).unwrap();
        let needle = [&[len], identifier].concat();
        let found = self.bytes.windows(needle.len()).enumerate().skip(19 * 2048);
        let mut starts = found
            .filter(|(_, bytes)| *bytes == needle)
            .map(|(at, _)| at - 32);
        // Path tables hold identifiers too; a record has its length and volume number.
        let start =
            starts.find(|&at| self.bytes[at] > 33 && self.bytes[at + 28..at + 32] == [1, 0, 0, 1]);
        start.unwrap()
    }

    /// Finds a system use field in the record with this identifier, and its bytes.
    fn field(&self, identifier: &[u8], signature: &[u8; 2]) -> Range<usize> {
        let record = self.record(identifier);
        let end = record + usize::from(self.bytes[record]);
        let mut at = record + 33 + identifier.len() + (identifier.len() + 1) % 2;
        while self.bytes[at..at + 2] != *signature {
            at += usize::from(self.bytes[at + 2]);
            assert!(at < end, "no {}", signature.escape_ascii());
        }
        at..at + usize::from(self.bytes[at + 2])
    }

    fn set(mut self, at: usize, bytes: &[u8]) -> Self {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    /// Writes a number in both byte orders.
    fn set_both(self, at: usize, value: u32) -> Self {
        self.set(at, &value.to_le_bytes())
            .set(at + 4, &value.to_be_bytes())
    }

    fn number(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.bytes[at..at + 4].try_into().unwrap())
    }

    /// Says why it is refused.
    fn refusal(&self) -> String {
        refusal(&self.bytes)
    }
}

/// Says why bytes are refused, without the place.
fn refusal(bytes: &[u8]) -> String {
    let place = place();
    let image = place.path().join("image");
    fs::write(&image, bytes).unwrap();
    let error = match Medium::open(&image) {
        Ok(medium) => panic!("taken: {:?}", medium.entries()),
        Err(error) => format!("{error:#}"),
    };
    let start = format!("reading {}: ", image.display());
    error.strip_prefix(&start).unwrap_or(&error).to_owned()
}

const HELLO: &[u8] = b"HELLO.TXT;1";

fn rock_ridge(place: &TempDir) -> Image {
    Image::make(place, "-R")
}

fn a_file_that_is_no_image_is_called_what_it_is() {
    let padded = |start: &[u8]| [start, &[b'x'; 40_000]].concat();
    for (bytes, what) in [
        (Vec::new(), "it is empty"),
        (b"short".to_vec(), "it has only 5 bytes"),
        (padded(b"\xfd7zXZ\0"), "it is xz data; decompress it first"),
        (
            padded(b"<!DOCTYPE html>"),
            "it is a web page; the download went wrong",
        ),
        (vec![0; 40_000], "it begins with zeros"),
        (padded(b""), "it begins with 78 78 78 78 78 78 78 78"),
    ] {
        assert_eq!(
            refusal(&bytes),
            format!("it is not an ISO 9660 or UDF image ({what})")
        );
    }
}

fn a_truncated_image_says_how_much_is_missing() {
    let Image { bytes } = rock_ridge(&place());
    assert_eq!(
        refusal(&bytes[..bytes.len() - 1]),
        format!(
            "the image is truncated: it holds {} of {} bytes",
            bytes.len() - 1,
            bytes.len()
        )
    );
    assert_eq!(
        refusal(&bytes[..16 * 2048 + 100]),
        "it is not an ISO 9660 or UDF image (it begins with zeros)"
    );
}

fn an_image_that_shrinks_while_it_is_read_is_an_error() {
    let place = place();
    let image = rock_ridge(&place);
    let at = u64::from(image.number(image.record(HELLO) + 2)) * 2048;
    let file = place.path().join("image");
    fs::write(&file, &image.bytes).unwrap();
    let medium = Medium::open(&file).unwrap();
    let entry = medium.find("hello.txt").unwrap();
    assert_eq!(medium.read(entry, 6).unwrap(), b"hello\n");
    File::options()
        .write(true)
        .open(&file)
        .unwrap()
        .set_len(at)
        .unwrap();
    assert_eq!(
        format!("{:#}", medium.read(entry, 6).unwrap_err()),
        format!("reading hello.txt: the image ends at offset {at}")
    );
}

fn damaged_volume_descriptors_are_refused() {
    let image = rock_ridge(&place());
    let descriptor = 16 * 2048;
    let reading = "reading the primary volume descriptor in sector 16: ";
    for (damaged, why) in [
        (
            image.clone().set(descriptor + 128, &[0, 4, 8, 0]),
            "its field at byte 128 is 1024 with the low byte first but 2048 with the high byte first",
        ),
        (
            image.clone().set(descriptor + 128, &[0, 16, 16, 0]),
            "logical blocks of 4096 bytes are neither 512, 1024 nor 2048",
        ),
        (
            image.clone().set(descriptor + 156 + 32, &[0]),
            "the root directory's record: it has no file identifier",
        ),
        (
            image.clone().set(descriptor + 156 + 10, &[1]),
            "the root directory's record: its field at byte 10 is 2049 with the low byte first but 2048 \
             with the high byte first",
        ),
    ] {
        assert_eq!(damaged.refusal(), format!("{reading}{why}"));
    }
}

fn damaged_directory_records_are_refused() {
    let place = place();
    let image = rock_ridge(&place);
    let at = image.record(HELLO);
    let end = image.bytes.len();
    let byte = at % 2048;
    let sibling = image.record(b"SIBLING");
    let record = format!("reading the root directory: the record at byte {byte}: ");
    for (damaged, why) in [
        (
            image.clone().set(at + 10, &[7]),
            format!(
                "{record}its field at byte 10 is 7 with the low byte first but 6 with the high byte first"
            ),
        ),
        (
            image.clone().set_both(at + 2, 1 << 20),
            format!("hello.txt is at bytes 2147483648 to 2147483654, but the image ends at {end}"),
        ),
        (
            image.clone().set(at + 32, &[0]),
            format!("{record}it has no file identifier"),
        ),
        (
            image.clone().set(at, &[20]),
            format!("{record}it holds 20 bytes, too few for the field of 1 bytes at byte 32"),
        ),
        (
            image.clone().set(at + 26, &[1, 1]),
            "reading the root directory: hello.txt is recorded interleaved, which is not read"
                .to_owned(),
        ),
        (
            image.clone().set(at + 25, &[0x80]),
            "reading the root directory: hello.txt goes on in another extent, but link follows"
                .to_owned(),
        ),
        (
            image.clone().set_both(sibling + 10, 1 << 30),
            "the directory sibling claims 1073741824 bytes, more than 67108864".to_owned(),
        ),
        (
            image
                .clone()
                .set_both(sibling + 2, 0)
                .set_both(sibling + 10, end as u32),
            "its directories claim more bytes than the image has".to_owned(),
        ),
        (
            image.clone().set_both(sibling + 2, end as u32 / 2048),
            format!(
                "the directory sibling is at bytes {end} to {}, but the image ends at {end}",
                end + 2048
            ),
        ),
    ] {
        assert_eq!(damaged.refusal(), why);
    }
}

fn names_that_lead_elsewhere_are_refused() {
    let image = rock_ridge(&place());
    let name = image.field(HELLO, b"NM");
    let reading = "reading the root directory: ";
    let named = |text: &[u8]| {
        let mut field = image.bytes[name.clone()].to_vec();
        field[5..5 + text.len()].copy_from_slice(text);
        image.clone().set(name.start, &field).refusal()
    };
    assert_eq!(
        named(b"../passwd"),
        format!("{reading}'../passwd' is not a valid name on a medium")
    );
    assert_eq!(
        named(b"hell\0.txt"),
        format!("{reading}'hell\\x00.txt' is not a valid name on a medium")
    );
    assert_eq!(
        named(b"other.txt"),
        "the medium holds two entries named other.txt"
    );
    // Shorter names: the rest of the field becomes padding.
    let short = |flags: u8, text: &[u8]| {
        let len = u8::try_from(5 + text.len()).unwrap();
        let mut field = vec![b'N', b'M', len, 1, flags];
        field.extend(text);
        let pad = u8::try_from(name.len() - field.len()).unwrap();
        field.extend([b'P', b'D', pad, 1]);
        image.clone().set(name.start, &field).refusal()
    };
    assert_eq!(
        short(0, b".."),
        format!("{reading}'..' is not a valid name on a medium")
    );
    assert_eq!(
        short(0, b"."),
        format!("{reading}'.' is not a valid name on a medium")
    );
    assert_eq!(
        short(0, b""),
        format!("{reading}'' is not a valid name on a medium")
    );
    assert_eq!(
        short(4, b""),
        format!("{reading}'..' is not a valid name on a medium")
    );
}

fn directories_that_are_met_twice_are_refused() {
    let image = rock_ridge(&place());
    let (outer, inner) = (image.record(b"OUTER"), image.record(b"INNER"));
    let sibling = image.record(b"SIBLING");
    let root = image.number(16 * 2048 + 156 + 2);
    let at = |record: usize| image.number(record + 2);
    for (record, block, why) in [
        (
            inner,
            at(outer),
            "the directory outer/inner is a loop: it is the directory outer",
        ),
        (
            inner,
            root,
            "the directory outer/inner is a loop: it is the root directory",
        ),
        (
            sibling,
            at(inner),
            "the directory outer/inner is the same as the directory sibling",
        ),
    ] {
        assert_eq!(image.clone().set_both(record + 2, block).refusal(), why);
    }
}

fn damaged_system_use_fields_are_refused() {
    const LONG: &[u8] = b"NNNNNNNN.;1";
    let image = rock_ridge(&place());
    let reading = "reading the root directory: 'hello.txt': ";
    let name = image.field(HELLO, b"NM");
    let mode = image.field(HELLO, b"PX");
    let long = image.field(LONG, b"CE");
    let link = image.field(b"LINK.;1", b"SL");
    let (block, end) = (image.number(long.start + 4), image.bytes.len());
    let more = "reading the root directory: 'nnnnnnnn': ";
    for (damaged, why) in [
        (
            image.clone().set(name.start + 2, &[3]),
            format!("{reading}its system use field 'NM' is 3 bytes long where "),
        ),
        (
            image.clone().set(name.start + 2, &[250]),
            format!("{reading}its system use field 'NM' is 250 bytes long where "),
        ),
        (
            image.clone().set(mode.start + 4, &[0xff]),
            format!("{reading}its field PX: its field at byte 0 is "),
        ),
        (
            image.clone().set(link.start + 6, &[200]),
            "reading the root directory: 'link': its field SL: it holds 14 bytes, too few for the \
             field of 200 bytes at byte 3"
                .to_owned(),
        ),
        (
            image.clone().set(link.start + 5, &[0x40]),
            "reading the root directory: 'link': its field SL: a link component with the flags 0x40"
                .to_owned(),
        ),
        (
            image.clone().set_both(long.start + 4, 1 << 24),
            format!("{more}reading a continuation of its system use field: reading "),
        ),
        (
            image.clone().set_both(long.start + 20, 1 << 30),
            format!(
                "{more}its system use field goes on for more than 32 areas or 32768 bytes"
            ),
        ),
        (
            // A continuation whose only field says that it goes on right here.
            image
                .clone()
                .set_both(long.start + 12, 1024)
                .set_both(long.start + 20, 28)
                .set(block as usize * 2048 + 1024, &image.bytes[long.clone()])
                .set_both(block as usize * 2048 + 1024 + 12, 1024)
                .set_both(block as usize * 2048 + 1024 + 20, 28),
            format!(
                "{more}its system use field goes on for more than 32 areas or 32768 bytes"
            ),
        ),
    ] {
        let said = damaged.refusal();
        assert!(said.starts_with(&why), "{said}\n{why}");
    }
    assert!(end > block as usize * 2048);
}

fn what_is_no_file_is_refused_by_name() {
    let image = rock_ridge(&place());
    let mode = image.field(HELLO, b"PX").start + 4;
    for (value, what) in [
        (
            0o020_666,
            "is a character device, which no install medium has",
        ),
        (0o060_660, "is a block device, which no install medium has"),
        (0o010_600, "is a named pipe, which no install medium has"),
        (0o140_755, "is a socket, which no install medium has"),
        (
            0o000_644,
            "is of an unknown type, which no install medium has",
        ),
        (
            0o040_755,
            "is a directory by its mode and a file by its record",
        ),
        (0o120_777, "has no target"),
    ] {
        let said = image.clone().set_both(mode, value).refusal();
        let link = if value == 0o120_777 { "the link " } else { "" };
        assert_eq!(said, format!("{link}hello.txt {what}"));
    }
}

fn damaged_boot_catalogs_are_refused() {
    let image = Image::make(&place(), "-R -b boot.bin -no-emul-boot -c boot.cat");
    let sector = image.number(17 * 2048 + 71);
    let catalog = sector as usize * 2048;
    let reading = format!("reading the boot catalog in sector {sector}: ");
    for (damaged, why) in [
        (
            image.clone().set(catalog + 30, &[0]),
            "its validation entry has other key bytes than 01, 55 and aa",
        ),
        (
            image.clone().set(catalog + 4, &[1]),
            "the words of its validation entry have the sum 0x0001, not to zero",
        ),
    ] {
        assert_eq!(damaged.refusal(), format!("{reading}{why}"));
    }
}

fn damaged_joliet_names_are_refused() {
    let image = Image::make(&place(), "-J -joliet-long -f");
    let identifier: Vec<u8> = "hello.txt".bytes().flat_map(|byte| [0, byte]).collect();
    let name = image.record(&identifier) + 33;
    let reading = "reading the root directory: ";
    for (at, bytes, why) in [
        (
            0,
            [0xdc, 0],
            "a Joliet name is no text: unpaired surrogate found: dc00",
        ),
        (8, [0, b'/'], "'hell/.txt' is not a valid name on a medium"),
        (8, [0, 0], "'hell\\x00.txt' is not a valid name on a medium"),
    ] {
        let damaged = image.clone().set(name + at, &bytes);
        assert_eq!(damaged.refusal(), format!("{reading}{why}"));
    }
}

fn damaged_zisofs_files_are_refused_by_name() {
    let place = place();
    let image = Image::load(zisofs(&place).1);
    let field = image.field(b"NUMBERS.;1", b"ZF");
    assert_eq!(
        image.clone().set(field.start + 4, b"PZ").refusal(),
        "reading the root directory: 'numbers': its field ZF: it is compressed by 'PZ', and only \
         zisofs version 1 ('pz') is read"
    );
    let record = image.record(b"NUMBERS.;1");
    let data = image.number(record + 2) as usize * 2048;
    let first_block = image.number(data + 16) as usize;
    let zeros = image.record(b"ZEROS.;1");
    assert!(zeros > record);
    for (damaged, why) in [
        (
            image.clone().set(data, &[0]),
            "inflating numbers: its header is not that of zisofs",
        ),
        (
            image.clone().set(data + 8, &[1]),
            "inflating numbers: its header says 160001 bytes, its directory record 160000",
        ),
        (
            image.clone().set(data + 13, &[30]),
            "inflating numbers: its header of 16 bytes with blocks of 2^30 is of no known version",
        ),
        (
            image.clone().set(data + 20, &[0, 0, 0, 0]),
            "inflating numbers: its block pointers are out of order",
        ),
        (
            image.clone().set(data + first_block, &[0, 0, 0]),
            "reading numbers: a block of it does not inflate",
        ),
        (
            image.clone().set_both(record + 10, 1000),
            "reading numbers: a block of it inflates to another length",
        ),
    ] {
        let file = place.path().join("image");
        fs::write(&file, &damaged.bytes).unwrap();
        let medium = Medium::open(&file).unwrap();
        let entry = medium.find("numbers").unwrap();
        assert_eq!(
            format!("{:#}", medium.read(entry, 1 << 20).unwrap_err()),
            why
        );
    }
}
