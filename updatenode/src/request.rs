//! What is asked for: which lines of a node's list run, in which order.
//!
//! The options come in, and a node's list; the lines go out. Pure. The order is xCAT's: software first,
//! then scripts; and no line runs twice.

use anyhow::{Result, bail};
use definitions::{Runlist, RunlistEntry, ScriptLine, ScriptOrigin};

/// The scripts that install and remove software: the distribution's, then other.
const SOFTWARE: [&str; 2] = ["ospkgs", "otherpkgs"];

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    wanted: Vec<Wanted>,
}

/// One thing that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    /// All postscripts, then all postbootscripts.
    Everything,
    /// What a name or a line means in a node's list.
    Named(ScriptLine),
}

impl Request {
    /// Parses the options `-P`, each with its text, and `-S`.
    pub(crate) fn parse(scripts: &[String], software: bool) -> Result<Self> {
        let mut wanted = Vec::new();
        if software || scripts.is_empty() {
            for script in SOFTWARE {
                wanted.push(Wanted::Named(script.parse()?));
            }
        }
        if !software && scripts.is_empty() {
            wanted.push(Wanted::Everything);
        }
        for text in scripts {
            if text.is_empty() {
                wanted.push(Wanted::Everything);
                continue;
            }
            for part in ScriptLine::parts(text) {
                match part.parse() {
                    Ok(line) => wanted.push(Wanted::Named(line)),
                    Err(error) if ScriptLine::parts(text).count() > 1 => {
                        bail!("{error}; in a list, an argument that holds a comma stands in quotes")
                    }
                    Err(error) => bail!(error),
                }
            }
        }
        Ok(Self { wanted })
    }

    /// Says whether it is what a node does when it is told nothing: its whole list.
    pub(crate) fn is_everything(&self) -> bool {
        self.wanted == [Wanted::Everything]
    }

    /// Lists the lines for one node, in order.
    pub(crate) fn plan(&self, list: &Runlist) -> Vec<ScriptLine> {
        let mut plan = Vec::new();
        for wanted in &self.wanted {
            for line in wanted.lines(list) {
                if !plan.contains(&line) {
                    plan.push(line);
                }
            }
        }
        plan
    }
}

impl Wanted {
    /// Lists what it means for one node.
    fn lines(&self, list: &Runlist) -> Vec<ScriptLine> {
        let entries = || list.postscripts.iter().chain(&list.postbootscripts);
        let lines = |entries: &mut dyn Iterator<Item = &RunlistEntry>| -> Vec<ScriptLine> {
            entries.map(|entry| entry.line.clone()).collect()
        };
        let name = match self {
            Self::Everything => return lines(&mut entries()),
            Self::Named(line) => line,
        };
        let named = |entry: &&RunlistEntry| entry.line.program() == name.program();
        let same = lines(&mut entries().filter(named));
        // With arguments of its own it is meant as it stands, and so is a line that stands in the list.
        if same.contains(name) || !name.arguments().is_empty() {
            return vec![name.clone()];
        }
        match origin(name.program()) {
            _ if !same.is_empty() => same,
            Some(origin) => lines(&mut entries().filter(|entry| entry.origin == origin)),
            None => vec![name.clone()],
        }
    }
}

/// Reads the words that mean all scripts of one list.
fn origin(word: &str) -> Option<ScriptOrigin> {
    match word {
        "site" | "xcatdefaults" => Some(ScriptOrigin::Site),
        "osimage" => Some(ScriptOrigin::Osimage),
        "node" => Some(ScriptOrigin::Node),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(postscripts: &[&str], postbootscripts: &[&str]) -> Runlist {
        let entries = |lines: &[&str]| {
            let entry = |line: &&str| RunlistEntry {
                origin: ScriptOrigin::Node,
                line: line.parse().unwrap(),
            };
            lines.iter().map(entry).collect()
        };
        Runlist {
            postscripts: entries(postscripts),
            postbootscripts: entries(postbootscripts),
            ..Runlist::default()
        }
    }

    fn planned(scripts: &[&str], software: bool) -> Vec<String> {
        let list = list(
            &["syslog", "site/mine a"],
            &[
                "xHRM bridgeprereq eth0:b0",
                "otherpkgs",
                "site/mine a",
                "site/mine b",
                "setupdockerhost",
                "setupdockerhost b0",
            ],
        );
        let scripts: Vec<_> = scripts.iter().map(|&text| text.to_owned()).collect();
        let request = Request::parse(&scripts, software).unwrap();
        request
            .plan(&list)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn software_comes_first_and_no_line_runs_twice() {
        let everything = [
            "syslog",
            "site/mine a",
            "xHRM bridgeprereq eth0:b0",
            "otherpkgs",
            "site/mine b",
            "setupdockerhost",
            "setupdockerhost b0",
        ];
        let mut all = everything.to_vec();
        all.retain(|line| *line != "otherpkgs");
        all.splice(0..0, ["ospkgs", "otherpkgs"]);
        assert_eq!(planned(&[], false), all);
        assert_eq!(planned(&[""], true), all);
        assert_eq!(planned(&[""], false), everything);
        assert_eq!(planned(&[], true), ["ospkgs", "otherpkgs"]);
    }

    #[test]
    fn a_name_means_the_lines_that_begin_with_it() {
        for (text, expected) in [
            ("xHRM", &["xHRM bridgeprereq eth0:b0"][..]),
            ("site/mine", &["site/mine a", "site/mine b"]),
            ("setupdockerhost", &["setupdockerhost"]),
            ("setupdockerhost b1", &["setupdockerhost b1"]),
            (
                "other,site/mine 'b,c' ,syslog",
                &["other", "site/mine 'b,c'", "syslog"],
            ),
            ("a \"x\\\",y\" \\,,b", &["a \"x\\\",y\" \\,", "b"]),
        ] {
            assert_eq!(planned(&[text], false), expected, "{text}");
        }
    }

    #[test]
    fn a_list_is_named_by_who_asked_for_it() {
        let mut list = list(&["syslog"], &["mine", "node"]);
        list.postscripts[0].origin = ScriptOrigin::Site;
        let planned = |text: &str, list: &Runlist| {
            let request = Request::parse(&[text.to_owned()], false).unwrap();
            let lines: Vec<_> = request.plan(list).iter().map(ToString::to_string).collect();
            lines.join(",")
        };
        assert_eq!(planned("xcatdefaults", &list), "syslog");
        assert_eq!(planned("osimage", &list), "");
        assert_eq!(
            planned("node", &list),
            "node",
            "a script of that name is meant"
        );
        list.postbootscripts.pop();
        assert_eq!(planned("node,site", &list), "mine,syslog");
    }

    #[test]
    fn what_names_no_script_says_why() {
        let refused = |text: &str| {
            let error = Request::parse(&[text.to_owned()], false).unwrap_err();
            error.to_string()
        };
        let plain = "the name of a script in the postscripts directory, of letters, digits, '.', '_', '+' and '-'";
        assert_eq!(
            refused("../mine"),
            format!("'../mine' is not a script and its arguments: expected {plain}")
        );
        assert_eq!(
            refused("bridgeprereq eth0:b0,eth1:b1"),
            format!(
                "'eth1:b1' is not a script and its arguments: expected {plain}; in a list, an argument that holds a comma stands in quotes"
            )
        );
    }
}
