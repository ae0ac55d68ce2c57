//! The arguments of DHCP clients: which of them a client on the bridge is started with again.
//!
//! In: the words of a process. Out: [`ClientArguments`], or what it names that cannot be kept. A client that
//! has an option that is in no table is refused by its name, as is every value that holds the NIC's name and
//! whose meaning is not the device.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::names::{holds, rename};
use super::options::{ClientKind, OptionRule};

/// What a client was started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClientArguments {
    pub(super) kind: ClientKind,
    items: Vec<ClientArgument>,
    /// The devices that it works for; none stands for all.
    pub(super) devices: Vec<String>,
}

/// An option with its value, or a word that is none.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ClientArgument {
    option: Option<String>,
    rule: Option<OptionRule>,
    value: Option<String>,
}

/// What a client on the bridge is started with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct MovedArguments {
    pub(super) words: Vec<String>,
    /// Files of leases, with the option that names each.
    pub(super) states: Vec<(String, PathBuf)>,
    pub(super) config: Option<PathBuf>,
    pub(super) scripts: Vec<PathBuf>,
}

impl ClientArguments {
    /// Reads the words of a process that runs one of the client's programs; `None` where it is something
    /// else that the same program can be.
    pub(super) fn parse(kind: ClientKind, words: &[String]) -> Option<Self> {
        let (called, mut rest) = words.split_first()?;
        if kind == ClientKind::Udhcpc {
            let is = |word: &str| {
                Path::new(word)
                    .file_name()
                    .is_some_and(|name| name == "udhcpc")
            };
            if !is(called) {
                let (applet, others) = rest.split_first()?;
                rest = others;
                if !is(applet) {
                    return None;
                }
            }
        }
        let items = match called.strip_prefix("dhcpcd: ") {
            Some(title) if kind == ClientKind::Dhcpcd => titled(title),
            _ => items(kind, rest),
        };
        let named = items.iter().filter(|item| match item.rule {
            Some(rule) => rule == OptionRule::Device,
            None => item.option.is_none(),
        });
        let mut devices: Vec<String> = named.filter_map(|item| item.value.clone()).collect();
        if kind == ClientKind::Udhcpc && devices.is_empty() {
            devices.push("eth0".to_owned());
        }
        Some(Self {
            kind,
            items,
            devices,
        })
    }

    /// Whether it may work for a device.
    pub(super) fn covers(&self, device: &str) -> bool {
        self.devices.is_empty() || self.devices.iter().any(|named| named == device)
    }

    /// Whether it is a client of NetworkManager's.
    pub(super) fn is_managed(&self) -> bool {
        let helper = |item: &ClientArgument| {
            let value = item.value.as_deref().unwrap_or_default();
            item.rule == Some(OptionRule::Script) && value.ends_with("/nm-dhcp-helper")
        };
        self.items.iter().any(helper)
    }

    /// The same for another device.
    ///
    /// # Errors
    /// When something cannot be kept.
    pub(super) fn moved(&self, nic: &str, to: &str) -> Result<MovedArguments> {
        let unknown = |item: &&ClientArgument| item.rule.is_none() && item.option.is_some();
        if let Some(option) = self
            .items
            .iter()
            .find(unknown)
            .and_then(|item| item.option.as_ref())
        {
            bail!("what its option {option} means is not known here");
        }
        match self.devices.as_slice() {
            [] => bail!("it works for every device: name those that it is for"),
            [one] if one == nic => {}
            several => bail!(
                "it works for {}: give {nic} a client of its own",
                several.join(" and ")
            ),
        }
        let mut moved = MovedArguments::default();
        for item in &self.items {
            item.move_to(nic, to, &mut moved)?;
        }
        let named = self
            .items
            .iter()
            .any(|item| item.rule == Some(OptionRule::Device));
        if self.kind == ClientKind::Udhcpc && !named {
            moved.words.extend(["-i".to_owned(), to.to_owned()]);
        }
        Ok(moved)
    }

    /// Whether it does not go to the background.
    pub(super) fn stays_in_front(&self) -> bool {
        self.items
            .iter()
            .any(|item| item.rule == Some(OptionRule::Foreground))
    }

    /// Whether an option was given.
    pub(super) fn has(&self, option: &str) -> bool {
        self.items
            .iter()
            .any(|item| item.option.as_deref() == Some(option))
    }
}

impl ClientArgument {
    fn move_to(&self, nic: &str, to: &str, moved: &mut MovedArguments) -> Result<()> {
        let value = self.value.as_deref().unwrap_or_default();
        let (Some(option), Some(rule)) = (&self.option, self.rule) else {
            moved.words.push(to.to_owned());
            return Ok(());
        };
        let mut keep = |value: &str| moved.words.extend([option.clone(), value.to_owned()]);
        match rule {
            OptionRule::Dropped | OptionRule::Hasty => {}
            OptionRule::Flag | OptionRule::Foreground => moved.words.push(option.clone()),
            OptionRule::Identity => keep(value),
            OptionRule::Value | OptionRule::Script if holds(value, nic) => {
                bail!("its option {option} is '{value}', and {nic} in it would stay")
            }
            OptionRule::Value => keep(value),
            OptionRule::Device => keep(to),
            OptionRule::State | OptionRule::Pid | OptionRule::Config => {
                let path = moved_path(option, value, nic, to)?;
                keep(&path.to_string_lossy());
                match rule {
                    OptionRule::State => moved.states.push((option.clone(), value.into())),
                    OptionRule::Config => moved.config = Some(value.into()),
                    _ if !in_run(Path::new(value)) => {
                        bail!("its option {option} names {value}, which is not below /run")
                    }
                    _ => {}
                }
            }
            OptionRule::Script => {
                keep(value);
                moved.scripts.push(value.into());
            }
        }
        Ok(())
    }
}

/// The file's name with the device's name changed; the directories that lead to it stay.
fn moved_path(option: &str, value: &str, nic: &str, to: &str) -> Result<PathBuf> {
    let path = Path::new(value);
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        bail!("its option {option} names {value}, which is not a file");
    };
    if !path.is_absolute() || holds(&dir.to_string_lossy(), nic) {
        bail!("its option {option} names {value}, which has no counterpart for {to}");
    }
    Ok(dir.join(rename(&name.to_string_lossy(), nic, to)))
}

fn in_run(path: &Path) -> bool {
    let plain = !path.components().any(|part| part.as_os_str() == "..");
    plain && (path.starts_with("/run") || path.starts_with("/var/run"))
}

/// What dhcpcd writes over its arguments: `[privileged proxy] eth0 [ip4]`.
fn titled(title: &str) -> Vec<ClientArgument> {
    let mut items = Vec::new();
    let (mut plain, mut roles) = (String::new(), Vec::new());
    for part in title.split('[') {
        match part.split_once(']') {
            Some((role, rest)) => {
                roles.push(role);
                plain.push_str(rest);
            }
            None => plain.push_str(part),
        }
    }
    let family = match (roles.contains(&"ip4"), roles.contains(&"ip6")) {
        (true, false) => Some("-4"),
        (false, true) => Some("-6"),
        _ => None,
    };
    items.extend(family.map(|option| ClientArgument {
        option: Some(option.to_owned()),
        rule: Some(OptionRule::Flag),
        value: None,
    }));
    items.extend(plain.split_whitespace().map(|word| ClientArgument {
        option: None,
        rule: None,
        value: Some(word.to_owned()),
    }));
    items
}

fn items(kind: ClientKind, words: &[String]) -> Vec<ClientArgument> {
    let mut items = Vec::new();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        if !word.starts_with('-') || word.len() < 2 {
            items.push(ClientArgument {
                option: None,
                rule: None,
                value: Some(word.clone()),
            });
            continue;
        }
        let pieces = match kind {
            ClientKind::Dhclient => vec![(word.clone(), None)],
            ClientKind::Dhcpcd | ClientKind::Udhcpc => pieces(kind, word),
        };
        for (option, value) in pieces {
            let rule = kind.rule(&option);
            let value = match rule {
                None | Some(OptionRule::Flag | OptionRule::Foreground | OptionRule::Hasty) => value,
                Some(_) => value.or_else(|| rest.next().cloned()),
            };
            items.push(ClientArgument {
                option: Some(option),
                rule,
                value,
            });
        }
    }
    items
}

/// The options in one word, as getopt_long(3) takes them: `-bfi`, `-ieth0`, `--interface=eth0`.
fn pieces(kind: ClientKind, word: &str) -> Vec<(String, Option<String>)> {
    if word.starts_with("--") {
        return match word.split_once('=') {
            Some((option, value)) => vec![(option.to_owned(), Some(value.to_owned()))],
            None => vec![(word.to_owned(), None)],
        };
    }
    let mut pieces = Vec::new();
    for (at, letter) in word.char_indices().skip(1) {
        let option = format!("-{letter}");
        match kind.rule(&option) {
            Some(OptionRule::Flag | OptionRule::Foreground | OptionRule::Hasty) => {
                pieces.push((option, None))
            }
            known => {
                let rest = &word[at + letter.len_utf8()..];
                let value = (!rest.is_empty()).then(|| rest.to_owned());
                // What follows one that is not known may be anything.
                let option = if known.is_some() {
                    option
                } else {
                    word.to_owned()
                };
                pieces.push((option, value));
                break;
            }
        }
    }
    pieces
}
