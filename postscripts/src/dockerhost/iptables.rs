//! What the filter table does to a frame that is forwarded, as `iptables -S` prints it (iptables(8)).
//!
//! In: the printed rules and a frame of which only the devices and, within a network, the addresses are
//! known. Out: which rule or policy decides over a new conversation, and which rules may drop some of
//! them because they look at what is not known. Pure; no rule is made here.

use std::collections::BTreeMap;

use ipnetwork::IpNetwork;

use crate::nftables::Certainty;

/// Chains jump to chains; no real table is deeper.
const MAX_DEPTH: usize = 16;

/// The chains of the filter table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FilterTable {
    /// What becomes of a packet that no rule of FORWARD decides over.
    accepts: bool,
    chains: BTreeMap<String, Vec<IptablesRule>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct IptablesRule {
    text: String,
    matches: Vec<RuleMatch>,
    target: Option<String>,
}

/// One condition; the rule holds when all do.
#[derive(Debug, Clone, PartialEq, Eq)]
struct RuleMatch {
    negated: bool,
    what: MatchKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum MatchKind {
    Input(String),
    Output(String),
    Source(Option<IpNetwork>),
    Destination(Option<IpNetwork>),
    State(String),
    Bridged,
    Local,
    /// Holds for every packet, as a comment does.
    Always,
    /// Looks at something that we know nothing of.
    Unknown,
}

/// A frame or packet of a new conversation.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    pub(super) input: &'a str,
    pub(super) output: &'a str,
    /// The network that it comes from, and whether it stays there.
    pub(super) within: IpNetwork,
    pub(super) is_within: bool,
}

/// What becomes of it, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FrameVerdict {
    Passes(String),
    Dropped(String),
}

impl FilterTable {
    /// Reads what `iptables -S` prints; a line that is none of a chain is left out.
    pub(super) fn parse(text: &str) -> Self {
        let mut rules = Self::default();
        for line in text.lines() {
            let words = split(line);
            match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                ["-P", "FORWARD", policy] => rules.accepts = policy == "ACCEPT",
                ["-N", chain] => drop(rules.chains.entry(chain.to_owned()).or_default()),
                ["-A", chain, ..] => {
                    let rule = IptablesRule::parse(line, &words[2..]);
                    let chain = rules.chains.entry(chain.to_owned());
                    chain.or_default().push(rule);
                }
                _ => {}
            }
        }
        rules
    }

    /// The chain that the user's own rules belong in: Docker goes through its own of these first.
    pub(super) fn users_chain(&self) -> &'static str {
        if self.chains.contains_key("DOCKER-USER") {
            "DOCKER-USER"
        } else {
            "FORWARD"
        }
    }

    /// Says what becomes of a frame, and which rules may drop some like it.
    pub(super) fn judge(&self, frame: &Frame<'_>) -> (FrameVerdict, Vec<String>) {
        let mut doubtful = Vec::new();
        let decided = self.walk("FORWARD", frame, MAX_DEPTH, &mut doubtful);
        let outcome = decided.unwrap_or_else(|| {
            if self.accepts {
                FrameVerdict::Passes("the policy of FORWARD".to_owned())
            } else {
                FrameVerdict::Dropped("the policy of FORWARD".to_owned())
            }
        });
        (outcome, doubtful)
    }

    fn walk(
        &self,
        chain: &str,
        frame: &Frame<'_>,
        depth: usize,
        doubtful: &mut Vec<String>,
    ) -> Option<FrameVerdict> {
        let rules = self.chains.get(chain).filter(|_| depth > 0)?;
        for rule in rules {
            let certainty = rule.certainty(frame);
            if certainty == Certainty::No {
                continue;
            }
            let sure = certainty == Certainty::Yes;
            let outcome = match rule.target.as_deref() {
                Some("ACCEPT") if sure => Some(FrameVerdict::Passes(rule.text.clone())),
                Some("DROP" | "REJECT") if sure => Some(FrameVerdict::Dropped(rule.text.clone())),
                Some("DROP" | "REJECT") => {
                    doubtful.push(rule.text.clone());
                    None
                }
                Some("RETURN") if sure => return None,
                Some(target) if sure => self.walk(target, frame, depth - 1, doubtful),
                Some(target) => {
                    // What is decided there is decided for some only.
                    match self.walk(target, frame, depth - 1, doubtful) {
                        Some(FrameVerdict::Dropped(why)) => doubtful.push(why),
                        Some(FrameVerdict::Passes(_)) | None => {}
                    }
                    None
                }
                None => None,
            };
            if outcome.is_some() {
                return outcome;
            }
        }
        None
    }
}

impl IptablesRule {
    fn parse(text: &str, words: &[String]) -> Self {
        let mut rule = Self {
            text: text.to_owned(),
            matches: Vec::new(),
            target: None,
        };
        let mut negated = false;
        let mut words = words.iter().map(String::as_str).peekable();
        while let Some(word) = words.next() {
            // A condition is a word followed by its values.
            let is_value = |next: &&str| !next.starts_with('-') && *next != "!";
            let values: Vec<_> = std::iter::from_fn(|| words.next_if(is_value)).collect();
            let value = values.first().copied().unwrap_or_default();
            let what = match word {
                "!" => {
                    negated = true;
                    continue;
                }
                "-j" | "-g" => {
                    rule.target = Some(value.to_owned());
                    break; // what follows is the target's own
                }
                "-m" => continue, // its conditions follow
                "-i" => MatchKind::Input(value.to_owned()),
                "-o" => MatchKind::Output(value.to_owned()),
                "-s" => MatchKind::Source(value.parse().ok()),
                "-d" => MatchKind::Destination(value.parse().ok()),
                "--ctstate" | "--state" => MatchKind::State(value.to_owned()),
                "--dst-type" if value == "LOCAL" => MatchKind::Local,
                "--physdev-is-bridged" => MatchKind::Bridged,
                "--comment" => MatchKind::Always,
                _ => MatchKind::Unknown,
            };
            rule.matches.push(RuleMatch { negated, what });
            negated = false;
        }
        rule
    }

    fn certainty(&self, frame: &Frame<'_>) -> Certainty {
        let all = self.matches.iter().map(|part| part.certainty(frame));
        all.min().unwrap_or(Certainty::Yes)
    }
}

impl RuleMatch {
    fn certainty(&self, frame: &Frame<'_>) -> Certainty {
        let sure = |certainty| {
            if certainty {
                Certainty::Yes
            } else {
                Certainty::No
            }
        };
        let certainty = match &self.what {
            MatchKind::Input(name) => sure(is_device(name, frame.input)),
            MatchKind::Output(name) => sure(is_device(name, frame.output)),
            MatchKind::State(states) => sure(states.split(',').any(|state| state == "NEW")),
            MatchKind::Bridged => sure(frame.is_within),
            MatchKind::Local => Certainty::No,
            MatchKind::Always => Certainty::Yes,
            MatchKind::Source(Some(network)) => within(*network, frame.within),
            MatchKind::Destination(Some(network)) if frame.is_within => {
                within(*network, frame.within)
            }
            MatchKind::Source(_) | MatchKind::Destination(_) | MatchKind::Unknown => {
                Certainty::Maybe
            }
        };
        if self.negated {
            certainty.not()
        } else {
            certainty
        }
    }
}

/// Whether a name in a rule is a device's: `eth+` is every name that begins so.
fn is_device(pattern: &str, device: &str) -> bool {
    match pattern.strip_suffix('+') {
        Some(start) => device.starts_with(start),
        None => pattern == device,
    }
}

/// Whether an address of `subnet` is one of `network`.
fn within(network: IpNetwork, subnet: IpNetwork) -> Certainty {
    if network.contains(subnet.network()) && network.prefix() <= subnet.prefix() {
        Certainty::Yes
    } else if subnet.contains(network.network()) {
        Certainty::Maybe
    } else {
        Certainty::No
    }
}

/// Splits a line into words; quotes keep a comment together.
fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (number, part) in line.split('"').enumerate() {
        match number % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.replace('-', "_")), // no condition, whatever it says
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What dockerd 20.10 makes of a host with one network.
    const DOCKER: &str = "\
-P INPUT ACCEPT
-P FORWARD DROP
-P OUTPUT ACCEPT
-N DOCKER
-N DOCKER-ISOLATION-STAGE-1
-N DOCKER-ISOLATION-STAGE-2
-N DOCKER-USER
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o mydocker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o mydocker0 -j DOCKER
-A FORWARD -i mydocker0 ! -o mydocker0 -j ACCEPT
-A FORWARD -i mydocker0 -o mydocker0 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i mydocker0 ! -o mydocker0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-ISOLATION-STAGE-2 -o mydocker0 -j DROP
-A DOCKER-ISOLATION-STAGE-2 -j RETURN
-A DOCKER-USER -j RETURN
";
    const INSIDE: &str = "-A FORWARD -i mydocker0 -o mydocker0 -j ACCEPT";

    /// What dockerd 28 makes of it: sets instead of a rule for each network.
    const DOCKER_28: &str = "\
-P FORWARD DROP
-N DOCKER
-N DOCKER-BRIDGE
-N DOCKER-CT
-N DOCKER-FORWARD
-N DOCKER-USER
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-FORWARD
-A DOCKER ! -i mydocker0 -o mydocker0 -j DROP
-A DOCKER-BRIDGE -o mydocker0 -j DOCKER
-A DOCKER-CT -o mydocker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A DOCKER-FORWARD -j DOCKER-CT
-A DOCKER-FORWARD -j DOCKER-BRIDGE
-A DOCKER-FORWARD -i mydocker0 -j ACCEPT
";

    fn judge(text: &str, output: &str) -> (FrameVerdict, Vec<String>) {
        FilterTable::parse(text).judge(&Frame {
            input: "mydocker0",
            output,
            within: "10.1.0.0/16".parse().unwrap(),
            is_within: output == "mydocker0",
        })
    }

    #[test]
    fn dockers_own_rules_let_bridged_frames_through() {
        for (text, rule) in [
            (DOCKER, INSIDE),
            (DOCKER_28, "-A DOCKER-FORWARD -i mydocker0 -j ACCEPT"),
        ] {
            let passes = FrameVerdict::Passes(rule.to_owned());
            assert_eq!(judge(text, "mydocker0"), (passes, Vec::new()));
        }
        let passes =
            FrameVerdict::Passes("-A FORWARD -i mydocker0 ! -o mydocker0 -j ACCEPT".to_owned());
        assert_eq!(judge(DOCKER, "eth0"), (passes, Vec::new()));
    }

    #[test]
    fn the_rule_or_policy_that_drops_is_named() {
        for rule in [
            "-A DOCKER-USER -j DROP",
            "-A DOCKER-USER -i mydocker0 -j REJECT --reject-with icmp-port-unreachable",
            "-A DOCKER-USER -i my+ ! -o eth0 -j DROP",
            "-A DOCKER-USER -s 10.0.0.0/8 -d 10.1.0.0/16 -j DROP",
            "-A DOCKER-USER -m physdev --physdev-is-bridged -j DROP",
            "-A DOCKER-USER -m comment --comment \"no -s here\" -m conntrack --ctstate NEW -j DROP",
        ] {
            let text = DOCKER.replace("-A DOCKER-USER -j RETURN", rule);
            let dropped = FrameVerdict::Dropped(rule.to_owned());
            assert_eq!(judge(&text, "mydocker0"), (dropped, Vec::new()), "{rule}");
        }
        let policy = "the policy of FORWARD".to_owned();
        for (text, outcome) in [
            ("-P FORWARD DROP\n", FrameVerdict::Dropped(policy.clone())),
            ("-P FORWARD ACCEPT\n", FrameVerdict::Passes(policy.clone())),
            ("", FrameVerdict::Dropped(policy)),
        ] {
            assert_eq!(judge(text, "mydocker0"), (outcome, Vec::new()));
        }
    }

    #[test]
    fn a_rule_that_looks_at_more_is_doubtful_and_decides_nothing() {
        for (rule, doubtful) in [
            ("-A DOCKER-USER -p tcp -m tcp --dport 22 -j DROP", true),
            ("-A DOCKER-USER -s 10.1.7.0/24 -j DROP", true),
            ("-A DOCKER-USER -m set --match-set bad src -j DROP", true),
            ("-A DOCKER-USER -s 10.2.0.0/16 -j DROP", false),
            ("-A DOCKER-USER -i eth1 -j DROP", false),
            ("-A DOCKER-USER -p tcp -j ACCEPT", false),
            ("-A DOCKER-USER -p tcp -j RETURN", false),
            ("-A DOCKER-USER -j LOG", false),
            ("-A DOCKER-USER -j NOWHERE", false),
        ] {
            let text = DOCKER.replace("-A DOCKER-USER -j RETURN", rule);
            let doubts = if doubtful {
                vec![rule.to_owned()]
            } else {
                Vec::new()
            };
            let passes = FrameVerdict::Passes(INSIDE.to_owned());
            assert_eq!(judge(&text, "mydocker0"), (passes, doubts), "{rule}");
        }
    }

    #[test]
    fn chains_that_jump_in_circles_end() {
        let text = "-P FORWARD ACCEPT\n-N A\n-N B\n-A FORWARD -j A\n-A A -j B\n-A B -j A\n";
        let (outcome, _) = judge(text, "mydocker0");
        assert_eq!(
            outcome,
            FrameVerdict::Passes("the policy of FORWARD".to_owned())
        );
    }
}
