//! The firmware that a module names, as `modinfo -F firmware` prints it. Pure.
//!
//! A module's section `.modinfo` holds `name=value` texts, each ended by a zero byte (include/linux/moduleparam.h).

use memchr::memmem;

/// How a text about firmware begins, after the zero byte that ends the one before.
const FIELD: &[u8] = b"\0firmware=";
/// The longest name.
const MAX_NAME: usize = 256;

/// Lists the names; patterns and what leads out of the directory of firmware are left out.
pub(super) fn names(module: &[u8]) -> Vec<String> {
    let found = memmem::find_iter(module, FIELD).filter_map(|at| {
        let rest = &module[at + FIELD.len()..];
        let end = rest.iter().take(MAX_NAME).position(|&b| b == 0)?;
        std::str::from_utf8(&rest[..end]).ok()
    });
    let is_path = |name: &&str| {
        let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
        name.split('/').all(plain) && !name.contains(['*', '?', '[', '\\'])
    };
    found.filter(is_path).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_from_the_module() {
        for (module, expected) in [
            (
                &b"\x7fELF\0license=GPL\0firmware=tigon/tg3.bin\0firmware=a.bin\0depends=\0"[..],
                &["tigon/tg3.bin", "a.bin"][..],
            ),
            (
                b"\0firmware=../../etc/shadow\0firmware=/x\0firmware=a*\0firmware=\0",
                &[],
            ),
            (b"\0firmware=never ends", &[]),
            (b"xfirmware=a\0", &[]),
        ] {
            assert_eq!(names(module), expected);
        }
    }
}
