//! What nftables does to a frame that is forwarded, by whomever its rules were made.
//!
//! In: the chains and rules that the kernel lists over netlink (`linux/netfilter/nf_tables.h`), for a host
//! need not have the program `nft`, and a frame of which only the devices are known. Out: the rule or
//! policy of a chain at the forward hook that drops a new conversation, or may drop some. A verdict of
//! "accept" ends its own chain only: every chain at the hook has its say. Nothing is changed.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsRawFd;

use nix::libc;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto,
    setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

const SUBSYSTEM: u16 = 10; // NFNL_SUBSYS_NFTABLES
const GET_CHAIN: u16 = 4;
const GET_RULE: u16 = 7;
const DUMP: u16 = 0x301; // NLM_F_REQUEST | NLM_F_DUMP
const DONE: u16 = 3;
const ERROR: u16 = 2;
const FORWARD: u32 = 2; // NF_INET_FORWARD
const INET: u8 = 1;
const IPV4: u8 = 2;
/// Chains jump to chains; no real table is deeper.
const DEPTH: usize = 16;
/// No host has more; what says so is not listened to any longer.
const LIMIT: usize = 64 << 20;

/// A chain, with its rules in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Chain {
    family: u8,
    table: String,
    name: String,
    /// Whether packets that are forwarded come here by themselves.
    is_hooked: bool,
    drops: bool,
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Rule {
    handle: u64,
    parts: Vec<Part>,
}

/// One expression: its kind and its attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    kind: String,
    data: Vec<u8>,
}

/// The chains at the forward hook and those that they lead to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ruleset(Vec<Chain>);

/// A rule or policy that is in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Obstacle {
    /// Which one, in words.
    pub(super) what: String,
    /// Whether it drops every new conversation, and not some only.
    pub(super) is_sure: bool,
    /// The family and name of its table, and its chain, as `nft` wants them.
    pub(super) chain: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Accept,
    Drop,
    Return,
}

/// What a register holds, as far as it is known.
type Register = Option<Vec<u8>>;

impl Ruleset {
    /// Asks the kernel. A kernel without nftables has no rules.
    pub(super) fn load() -> io::Result<Self> {
        let mut chains: Vec<_> = dump(GET_CHAIN)?.iter().filter_map(|m| chain(m)).collect();
        for message in dump(GET_RULE)? {
            let Some((family, table, name, rule)) = rule(&message) else {
                continue;
            };
            let owner = chains
                .iter_mut()
                .find(|chain| (chain.family, &chain.table, &chain.name) == (family, &table, &name));
            if let Some(owner) = owner {
                owner.rules.push(rule);
            }
        }
        Ok(Self(chains))
    }

    /// Says what is in the way of a frame, but for the chains that `iptables` shows.
    pub(super) fn judge(&self, input: &str, output: &str) -> Vec<Obstacle> {
        let hooked = self.0.iter().filter(|chain| {
            chain.is_hooked
                && !(chain.family == IPV4 && chain.table == "filter" && chain.name == "FORWARD")
        });
        hooked
            .flat_map(|chain| self.judge_chain(chain, input, output))
            .collect()
    }

    fn judge_chain(&self, chain: &Chain, input: &str, output: &str) -> Vec<Obstacle> {
        let mut found = Vec::new();
        let decided = self.walk(chain, (input, output), true, DEPTH, &mut found);
        if !matches!(decided, Some(Verdict::Accept | Verdict::Drop)) && chain.drops {
            found.push(chain.obstacle("its policy is drop".to_owned(), true));
        }
        found
    }

    /// Goes through a chain; `None` and `Return` lead back to where it came from.
    fn walk(
        &self,
        chain: &Chain,
        frame: (&str, &str),
        is_sure: bool,
        depth: usize,
        found: &mut Vec<Obstacle>,
    ) -> Option<Verdict> {
        for rule in chain.rules.iter().filter(|_| depth > 0) {
            let mut registers = BTreeMap::new();
            let mut is_sure = is_sure;
            let decided = 'rule: {
                for part in &rule.parts {
                    match part.apply(frame, &mut registers) {
                        Effect::Goes => {}
                        Effect::Ends => break 'rule None,
                        Effect::Unknown => is_sure = false,
                        Effect::Jump(name) => {
                            let target = self.0.iter().find(|other| {
                                other.family == chain.family
                                    && other.table == chain.table
                                    && other.name == name
                            });
                            let walked = target.and_then(|target| {
                                self.walk(target, frame, is_sure, depth - 1, found)
                            });
                            match walked {
                                Some(Verdict::Return) | None => {}
                                decided => break 'rule decided,
                            }
                        }
                        Effect::Verdict(Verdict::Drop) => {
                            let what = format!("rule {} drops them", rule.handle);
                            found.push(chain.obstacle(what, is_sure));
                            break 'rule Some(Verdict::Drop);
                        }
                        Effect::Verdict(verdict) => break 'rule Some(verdict),
                    }
                }
                None
            };
            if is_sure && decided.is_some() {
                return decided;
            }
        }
        None
    }
}

impl Chain {
    fn obstacle(&self, what: String, is_sure: bool) -> Obstacle {
        let family = match self.family {
            INET => "inet",
            _ => "ip",
        };
        let chain = format!("{family} {} {}", self.table, self.name);
        Obstacle {
            what,
            is_sure,
            chain,
        }
    }
}

/// What an expression does to the rule that it stands in.
enum Effect {
    Goes,
    Ends,
    Unknown,
    Jump(String),
    Verdict(Verdict),
}

impl Part {
    fn apply(
        &self,
        (input, output): (&str, &str),
        registers: &mut BTreeMap<u32, Register>,
    ) -> Effect {
        let number = |kind: u16| attribute(&self.data, kind).and_then(big_endian);
        match self.kind.as_str() {
            // META: 1 is the register, 2 the key.
            "meta" => {
                let value = match number(2) {
                    Some(6) => Some(device(input)),
                    Some(7) => Some(device(output)),
                    Some(15) => Some(vec![IPV4]),
                    _ => None,
                };
                registers.insert(number(1).unwrap_or_default(), value);
                Effect::Goes
            }
            // The state of a new conversation (NF_CT_STATE_BIT(IP_CT_NEW)).
            "ct" => {
                let value = (number(2) == Some(0)).then(|| 8_u32.to_ne_bytes().to_vec());
                registers.insert(number(1).unwrap_or_default(), value);
                Effect::Goes
            }
            "bitwise" => {
                let held = number(1).and_then(|at| registers.get(&at).cloned().flatten());
                let data = |kind| attribute(&self.data, kind).and_then(|data| attribute(data, 1));
                let value = held.zip(data(4).zip(data(5))).map(|(held, (mask, xor))| {
                    let bits = held.iter().zip(mask).zip(xor);
                    bits.map(|((held, mask), xor)| (held & mask) ^ xor)
                        .collect()
                });
                registers.insert(number(2).unwrap_or_default(), value);
                Effect::Goes
            }
            "cmp" => {
                let held = number(1).and_then(|at| registers.get(&at).cloned().flatten());
                let data = attribute(&self.data, 3).and_then(|data| attribute(data, 1));
                let Some((held, data)) = held.zip(data) else {
                    return Effect::Unknown;
                };
                // A name with a star is compared as far as it goes.
                let is_equal = held.get(..data.len()) == Some(data);
                match number(2) {
                    Some(0) if is_equal => Effect::Goes,
                    Some(1) if !is_equal => Effect::Goes,
                    Some(0 | 1) => Effect::Ends,
                    _ => Effect::Unknown,
                }
            }
            "immediate" => self.verdict(),
            "reject" => Effect::Verdict(Verdict::Drop),
            "payload" | "fib" | "rt" | "socket" | "exthdr" | "numgen" | "hash" | "osf" => {
                registers.clear();
                Effect::Unknown
            }
            "counter" | "log" | "notrack" | "dynset" | "objref" | "flow_offload" | "last" => {
                Effect::Goes
            }
            _ => Effect::Unknown,
        }
    }

    /// The verdict of an "immediate", where it is one (`NFTA_DATA_VERDICT`).
    fn verdict(&self) -> Effect {
        let verdict = attribute(&self.data, 2).and_then(|data| attribute(data, 2));
        let Some(verdict) = verdict else {
            return Effect::Unknown;
        };
        let code = attribute(verdict, 1)
            .and_then(big_endian)
            .unwrap_or_default();
        match code.cast_signed() {
            0 => Effect::Verdict(Verdict::Drop),
            1 => Effect::Verdict(Verdict::Accept),
            -3 | -4 => Effect::Jump(attribute(verdict, 2).map(text).unwrap_or_default()),
            -5 => Effect::Verdict(Verdict::Return),
            _ => Effect::Unknown,
        }
    }
}

/// Reads a chain of the families that IPv4 passes.
fn chain(message: &[u8]) -> Option<Chain> {
    let (family, data) = (*message.first()?, message.get(4..)?);
    let hook = attribute(data, 4);
    let number = hook
        .and_then(|hook| attribute(hook, 1))
        .and_then(big_endian);
    let family = [INET, IPV4].into_iter().find(|known| *known == family)?;
    Some(Chain {
        family,
        table: text(attribute(data, 1)?),
        name: text(attribute(data, 3)?),
        // Of a chain at the hook only a filter decides; others translate addresses.
        is_hooked: number == Some(FORWARD)
            && attribute(data, 7).is_none_or(|kind| text(kind) == "filter"),
        drops: attribute(data, 5).and_then(big_endian) == Some(0) && hook.is_some(),
        rules: Vec::new(),
    })
}

/// Reads a rule: the chain that it is in, and itself.
fn rule(message: &[u8]) -> Option<(u8, String, String, Rule)> {
    let (family, data) = (*message.first()?, message.get(4..)?);
    let handle = <[u8; 8]>::try_from(attribute(data, 3)?).ok()?;
    let parts = attributes(attribute(data, 4).unwrap_or_default());
    let part = |(_, element): (u16, &[u8])| Part {
        kind: attribute(element, 1).map(text).unwrap_or_default(),
        data: attribute(element, 2).unwrap_or_default().to_vec(),
    };
    let rule = Rule {
        handle: u64::from_be_bytes(handle),
        parts: parts.map(part).collect(),
    };
    Some((
        family,
        text(attribute(data, 1)?),
        text(attribute(data, 2)?),
        rule,
    ))
}

/// A device's name as the kernel compares it: sixteen bytes.
fn device(name: &str) -> Vec<u8> {
    let mut bytes = name.as_bytes().to_vec();
    bytes.resize(16, 0);
    bytes
}

fn attribute(data: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(data)
        .find(|(found, _)| *found == kind)
        .map(|(_, value)| value)
}

/// The attributes of a message, flags of their kind left out; what is cut short ends them.
fn attributes(mut data: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let [l0, l1, k0, k1] = *data.first_chunk::<4>()?;
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        let value = data.get(4..length)?;
        data = data.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes([k0, k1]) & 0x3fff, value))
    })
}

fn big_endian(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

/// A name, for people: nothing in it moves a terminal's cursor.
fn text(bytes: &[u8]) -> String {
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    String::from_utf8_lossy(bytes).replace(char::is_control, "?")
}

/// Lists all objects of a kind: each one's bytes behind the netlink header.
fn dump(kind: u16) -> io::Result<Vec<Vec<u8>>> {
    let netlink = SockProtocol::NetlinkNetFilter;
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, netlink)?;
    setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::seconds(10))?;
    let mut request = 20_u32.to_ne_bytes().to_vec();
    request.extend((SUBSYSTEM << 8 | kind).to_ne_bytes());
    request.extend(DUMP.to_ne_bytes());
    request.extend([1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    sendto(
        socket.as_raw_fd(),
        &request,
        &NetlinkAddr::new(0, 0),
        MsgFlags::empty(),
    )?;
    let (mut found, mut read, mut buffer) = (Vec::new(), 0, vec![0; 1 << 18]);
    loop {
        let length = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
        read += length;
        if length == 0 || read > LIMIT {
            return Err(io::Error::other("the kernel's list of rules does not end"));
        }
        let mut rest = &buffer[..length];
        while let Some(&[a, b, c, d, k0, k1]) = rest.first_chunk::<6>() {
            let size = u32::from_ne_bytes([a, b, c, d]) as usize;
            let Some(body) = rest.get(16..size) else {
                break;
            };
            match u16::from_ne_bytes([k0, k1]) {
                DONE => return Ok(found),
                ERROR => {
                    let code = body
                        .first_chunk::<4>()
                        .map_or(0, |code| i32::from_ne_bytes(*code));
                    return match -code {
                        libc::EINVAL | libc::EOPNOTSUPP | libc::EPROTONOSUPPORT | libc::ENOENT => {
                            Ok(found)
                        }
                        code => Err(io::Error::from_raw_os_error(code)),
                    };
                }
                _ => found.push(body.to_vec()),
            }
            rest = rest.get(size.next_multiple_of(4)..).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = (value.len() as u16 + 4).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn number(kind: u16, value: u32) -> Vec<u8> {
        put(kind, &value.to_be_bytes())
    }

    fn part(kind: &str, data: Vec<Vec<u8>>) -> Part {
        let (kind, data) = (kind.to_owned(), data.concat());
        Part { kind, data }
    }

    /// `iifname` or `oifname`, and the name or the beginning of one.
    fn named(key: u32, operation: u32, name: &[u8]) -> Vec<Part> {
        vec![
            part("meta", vec![number(2, key), number(1, 1)]),
            part(
                "cmp",
                vec![number(1, 1), number(2, operation), put(3, &put(1, name))],
            ),
        ]
    }

    fn verdict(code: i32, chain: &str) -> Part {
        let verdict = [number(1, code.cast_unsigned()), put(2, chain.as_bytes())].concat();
        part("immediate", vec![number(1, 0), put(2, &put(2, &verdict))])
    }

    /// `ct state` with these bits.
    fn state(bits: u32) -> Vec<Part> {
        let data = |bits: u32| put(1, &bits.to_ne_bytes());
        vec![
            part("ct", vec![number(2, 0), number(1, 1)]),
            part(
                "bitwise",
                vec![
                    number(1, 1),
                    number(2, 1),
                    put(4, &data(bits)),
                    put(5, &data(0)),
                ],
            ),
            part("cmp", vec![number(1, 1), number(2, 1), put(3, &data(0))]),
        ]
    }

    fn chain_of(name: &str, is_hooked: bool, drops: bool, rules: Vec<Vec<Part>>) -> Chain {
        let rule = |(at, parts): (usize, Vec<Part>)| Rule {
            handle: at as u64 + 1,
            parts,
        };
        Chain {
            family: INET,
            table: "fw".to_owned(),
            name: name.to_owned(),
            is_hooked,
            drops,
            rules: rules.into_iter().enumerate().map(rule).collect(),
        }
    }

    fn judge(drops: bool, rules: Vec<Vec<Part>>) -> Vec<(String, bool)> {
        let other = chain_of("other", false, false, vec![vec![verdict(0, "")]]);
        let ruleset = Ruleset(vec![chain_of("forward", true, drops, rules), other]);
        let found = ruleset.judge("mydocker0", "mydocker0").into_iter();
        found
            .map(|one| (format!("{}: {}", one.chain, one.what), one.is_sure))
            .collect()
    }

    #[test]
    fn the_rule_or_policy_that_drops_a_new_conversation_is_named() {
        let with = |mut parts: Vec<Part>, last: Part| {
            parts.push(last);
            parts
        };
        let (accept, drop) = (|| verdict(1, ""), || verdict(0, ""));
        let rule = |number: u32| format!("inet fw forward: rule {number} drops them");
        let policy = "inet fw forward: its policy is drop".to_owned();
        let port = || part("payload", vec![]);
        for (drops, rules, found) in [
            (false, vec![], vec![]),
            (true, vec![], vec![(policy.clone(), true)]),
            // What is established passes, what is new is rejected.
            (
                false,
                vec![
                    with(state(6), accept()),
                    with(state(1), drop()),
                    vec![part("reject", vec![])],
                ],
                vec![(rule(3), true)],
            ),
            (true, vec![with(state(8), accept())], vec![]),
            (
                true,
                vec![with(named(6, 0, b"mydocker0\0"), accept())],
                vec![],
            ),
            (true, vec![with(named(7, 0, b"my"), accept())], vec![]),
            (true, vec![with(named(6, 1, b"eth0\0"), accept())], vec![]),
            (
                true,
                vec![with(named(6, 0, b"eth0\0"), accept())],
                vec![(policy.clone(), true)],
            ),
            // Another chain has its say, and what nobody knows of may drop some.
            (
                false,
                vec![vec![verdict(-3, "other")]],
                vec![("inet fw other: rule 1 drops them".to_owned(), true)],
            ),
            (false, vec![vec![port(), drop()]], vec![(rule(1), false)]),
            (true, vec![vec![port(), accept()]], vec![(policy, true)]),
        ] {
            assert_eq!(judge(drops, rules), found);
        }
    }

    #[test]
    fn what_is_cut_short_ends_a_list_and_no_name_moves_a_cursor() {
        assert_eq!(attributes(&[9, 0, 1, 0, 7]).count(), 0);
        assert_eq!(attributes(&put(1, b"abc")).count(), 1);
        assert_eq!(text(b"a\x1b[2Jb\0"), "a?[2Jb");
        assert_eq!((chain(&[]), rule(&[1, 0])), (None, None));
    }
}
