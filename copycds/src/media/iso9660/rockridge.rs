//! Rock Ridge (IEEE P1282, RRIP 1.12): POSIX names, modes, times and links in system use fields.
//!
//! Read are `PX` `NM` `SL` `TF` `CL` `PL` `RE` and, from zisofs, `ZF`; `RR` only announces the others;
//! `PN` belongs to devices, which are refused, and `SF` (sparse files) is refused by name, because no
//! known writer makes one. Fields of other protocols (`AA`, `AS`, `AL`, `ER`, `SP`) pass by.

use anyhow::{Context, Result, bail, ensure};

use super::record::{long_date, short_date};
use super::susp::{self, SystemUseEntry};
use super::volume::IsoVolume;
use crate::media::bytes::ByteFields;
use crate::media::entry::Timestamp;
use crate::media::entry_list::MAX_PATH;
use crate::media::image::ImageFile;

/// What the fields of one record say.
#[derive(Debug, Default)]
pub(super) struct RockRidgeAttributes {
    /// `st_mode`, type and permissions (`PX`).
    pub(super) mode: Option<u32>,
    /// The name (`NM`).
    pub(super) name: Option<Vec<u8>>,
    /// The target of a symbolic link (`SL`).
    pub(super) target: Option<Vec<u8>>,
    /// The time of modification (`TF`).
    pub(super) mtime: Option<Timestamp>,
    /// The block of a directory that was moved for depth (`CL`).
    pub(super) child: Option<u32>,
    /// Whether this is the real place of such a directory (`RE`).
    pub(super) relocated: bool,
    /// The length after inflation, of a file that is compressed (`ZF`).
    pub(super) inflated: Option<u64>,
    target_state: LinkTargetState,
}

/// What may follow in a link's target.
#[derive(Debug, Default, PartialEq, Eq)]
enum LinkTargetState {
    /// A component, with nothing before it.
    #[default]
    Component,
    /// A component, after a separator.
    Separator,
}

impl RockRidgeAttributes {
    /// Reads the system use area of one record, without its first `skip` bytes.
    pub(super) fn read(
        image: &ImageFile,
        volume: &IsoVolume,
        skip: usize,
        area: &[u8],
    ) -> Result<Self> {
        let mut attributes = Self::default();
        let area = area.get(skip..).unwrap_or_default();
        susp::fields(image, volume, area, &mut |field| {
            let [first, second] = field.signature;
            attributes
                .apply(field)
                .with_context(|| format!("its field {}{}", first as char, second as char))
        })?;
        Ok(attributes)
    }

    fn apply(&mut self, SystemUseEntry { signature, data }: SystemUseEntry<'_>) -> Result<()> {
        match &signature {
            b"PX" => self.mode = Some(data.both32(0)?),
            b"NM" => self.apply_name(data)?,
            b"SL" => self.append_target(data)?,
            b"TF" => self.mtime = mtime(data)?.or(self.mtime),
            b"CL" => self.child = Some(data.both32(0)?),
            b"RE" => self.relocated = true,
            b"ZF" => self.inflated = Some(inflated(data)?),
            b"SF" => bail!("sparse files are not read"),
            _ => {}
        }
        Ok(())
    }

    /// `NM` (§4.1.4): flags, then a piece of the name.
    fn apply_name(&mut self, data: ByteFields<'_>) -> Result<()> {
        const CURRENT: u8 = 1 << 1;
        const PARENT: u8 = 1 << 2;
        let name = self.name.get_or_insert_default();
        let flags = data.byte(0)?;
        match flags {
            _ if flags & CURRENT != 0 => name.extend_from_slice(b"."),
            _ if flags & PARENT != 0 => name.extend_from_slice(b".."),
            _ => name.extend_from_slice(&data.0[1..]),
        }
        ensure!(
            name.len() <= MAX_PATH,
            "a name of more than {MAX_PATH} bytes"
        );
        Ok(())
    }

    /// `SL` (§4.1.3): flags, then components, each with flags and a length. A component that goes on
    /// is glued to the next; others are joined by `/`, also from one field to the next.
    fn append_target(&mut self, data: ByteFields<'_>) -> Result<()> {
        const CONTINUE: u8 = 1;
        const CURRENT: u8 = 1 << 1;
        const PARENT: u8 = 1 << 2;
        const ROOT: u8 = 1 << 3;
        let target = self.target.get_or_insert_default();
        let mut at = 1;
        while at < data.0.len() {
            let (flags, len) = (data.byte(at)?, usize::from(data.byte(at + 1)?));
            let text = data.slice(at + 2, len)?;
            at += 2 + len;
            if self.target_state == LinkTargetState::Separator {
                target.push(b'/');
            }
            self.target_state = match flags {
                _ if flags & (CONTINUE | ROOT) != 0 => LinkTargetState::Component,
                _ => LinkTargetState::Separator,
            };
            match flags & !CONTINUE {
                0 => target.extend_from_slice(text),
                CURRENT => target.extend_from_slice(b"."),
                PARENT => target.extend_from_slice(b".."),
                ROOT => target.push(b'/'),
                other => bail!("a link component with the flags {other:#04x}"),
            }
            ensure!(
                target.len() <= MAX_PATH,
                "a link target of more than {MAX_PATH} bytes"
            );
        }
        Ok(())
    }
}

/// `TF` (§4.1.6): flags say which dates follow, in this order: creation, modification, …; seven bytes
/// each, or seventeen.
fn mtime(data: ByteFields<'_>) -> Result<Option<Timestamp>> {
    const CREATION: u8 = 1;
    const MODIFY: u8 = 1 << 1;
    const LONG: u8 = 1 << 7;
    let flags = data.byte(0)?;
    if flags & MODIFY == 0 {
        return Ok(None);
    }
    let before = usize::from(flags & CREATION);
    Ok(if flags & LONG != 0 {
        long_date(data.slice(1 + 17 * before, 17)?)
    } else {
        short_date(data.slice(1 + 7 * before, 7)?)
    })
}

/// `ZF` (zisofs): the algorithm, two bytes on its blocks that its own header repeats, and the length.
fn inflated(data: ByteFields<'_>) -> Result<u64> {
    let algorithm = data.slice(0, 2)?;
    ensure!(
        algorithm == b"pz",
        "it is compressed by '{}', and only zisofs version 1 ('pz') is read",
        algorithm.escape_ascii()
    );
    Ok(data.both32(4)?.into())
}
