//! Real images of many origins, each entry of which is known (`corpus.txt`; `UPDATE=1` writes it anew,
//! for the difference to be read).

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use copycds::media::{BootImage, BootPlatform, Medium};
use flate2::read::GzDecoder;
use tempfile::TempDir;

use crate::Case;
use crate::built::place;
use crate::cases;
use crate::listing::{Detail, assert_same, list, open};
use crate::needs::Need::{Corpus, Tool};
use crate::needs::corpus;
use crate::tools::unpack;

pub(crate) const CASES: &[Case] = cases! {
    &[Corpus] =>
        every_image_is_read_as_recorded
        boot_catalogs_of_real_discs_are_read
        a_compressed_image_is_no_image;
    &[Corpus, Tool("xorriso")] => xorriso_takes_the_same_out;
    &[Corpus, Tool("bsdtar")] => bsdtar_takes_the_same_out;
    &[Corpus, Tool("7z")] => seven_zip_takes_the_same_out_of_udf;
};

/// Lays out one image of the corpus.
fn image(place: &TempDir, name: &str) -> PathBuf {
    let packed = corpus().unwrap().join(format!("{name}.iso.gz"));
    let image = place.path().join(format!("{name}.iso"));
    let mut from = GzDecoder::new(File::open(packed).unwrap());
    io::copy(&mut from, &mut File::create(&image).unwrap()).unwrap();
    image
}

fn names() -> Vec<String> {
    let files = fs::read_dir(corpus().unwrap()).unwrap();
    let mut names: Vec<String> = files
        .filter_map(|file| {
            let name = file.unwrap().file_name().into_string().unwrap();
            name.strip_suffix(".iso.gz").map(str::to_owned)
        })
        .collect();
    names.sort();
    names
}

/// Shows a medium, or why it is none.
fn show(image: &Path) -> String {
    match Medium::open(image) {
        Ok(medium) => {
            let ids = medium.ids();
            let head = format!(
                "volume {:?}, system {:?}, publisher {:?}, {} blocks\n",
                ids.volume, ids.system, ids.publisher, ids.blocks
            );
            head + &list(&medium, Detail::All)
        }
        Err(err) => {
            let place = image.parent().unwrap().to_str().unwrap();
            format!("{err:#}\n").replace(place, "PLACE")
        }
    }
}

fn every_image_is_read_as_recorded() {
    let place = place();
    let found: String = names()
        .iter()
        .map(|name| format!("== {name}\n{}", show(&image(&place, name))))
        .collect();
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/media/corpus.txt");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&recorded, &found).unwrap();
    }
    let expected = fs::read_to_string(recorded).unwrap();
    for (found, expected) in found.lines().zip(expected.lines()) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.len(), expected.len());
}

fn xorriso_takes_the_same_out() {
    // Not those with Joliet alone, which it does not read; nor where `rr_moved` stays visible to it.
    for name in [
        "bogus-rhel-7.0-ppc64",
        "fake-centos65-label",
        "fake-f26-netinst",
        "fake-f29-live",
        "libarchive-test_read_format_iso_joliet_rockridge",
        "libarchive-test_read_format_iso_multi_extent",
        "libarchive-test_read_format_iso_rockridge",
        "libarchive-test_read_format_iso_xorriso",
        "memtest86+x64",
    ] {
        let place = place();
        let image = image(&place, name);
        assert_same(
            &image,
            &unpack("xorriso", &image, place.path()),
            Detail::All,
        );
    }
}

fn bsdtar_takes_the_same_out() {
    for name in [
        "fake-centos65-label",
        "fake-win7",
        "libarchive-test_read_format_iso_joliet_long",
        "libarchive-test_read_format_iso_multi_extent",
        "libarchive-test_read_format_iso_rockridge",
        "libarchive-test_read_format_iso_rockridge_rr_moved",
        "libarchive-test_read_format_iso_xorriso",
        "libarchive-test_read_format_iso_zisofs",
        "libcdio-joliet",
    ] {
        let place = place();
        let image = image(&place, name);
        assert_same(
            &image,
            &unpack("bsdtar", &image, place.path()),
            Detail::Content,
        );
    }
}

fn seven_zip_takes_the_same_out_of_udf() {
    let place = place();
    let image = image(&place, "libcdio-test-udf1");
    assert_same(&image, &unpack("7z", &image, place.path()), Detail::Content);
}

fn boot_catalogs_of_real_discs_are_read() {
    let platforms = |name: &str| -> Vec<BootPlatform> {
        let place = place();
        let medium = open(&image(&place, name));
        let bootable = |image: &BootImage| image.bootable.then_some(image.platform);
        medium.boot().iter().filter_map(bootable).collect()
    };
    assert_eq!(
        platforms("memtest86+x64"),
        [BootPlatform::Bios, BootPlatform::Efi]
    );
    assert_eq!(platforms("fake-centos65-label"), [BootPlatform::Bios]);
    assert_eq!(platforms("bogus-rhel-7.0-ppc64"), []);
}

fn a_compressed_image_is_no_image() {
    let packed = corpus().unwrap().join("fake-win7.iso.gz");
    let error = format!("{:#}", Medium::open(&packed).unwrap_err());
    assert_eq!(
        error.replace(packed.to_str().unwrap(), "IMAGE"),
        "reading IMAGE: it is not an ISO 9660 or UDF image (it is gzip data; decompress it first)"
    );
}
