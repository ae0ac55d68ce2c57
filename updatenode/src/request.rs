//! The request: which lines of a node's list run, in which order.
//!
//! The options come in, and a node's list; the lines go out. Pure. The order is xCAT's: software first,
//! then scripts; and no line runs twice.

use anyhow::{Result, bail};
use definitions::{Runlist, RunlistEntry, ScriptLine, ScriptOrigin};

/// The scripts that install and remove software: the distribution's, then other.
const SOFTWARE: [&str; 2] = ["ospkgs", "otherpkgs"];

/// The scripts that the options select.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    selectors: Vec<ScriptSelector>,
}

/// One selection.
#[derive(Debug, Clone, PartialEq, Eq)]
enum ScriptSelector {
    /// All postscripts, then all postbootscripts.
    Everything,
    /// The lines of a node's list that a name selects, or this line itself.
    Named(ScriptLine),
}

impl Request {
    /// Parses the options `-P`, each with its text, and `-S`.
    pub(crate) fn parse(scripts: &[String], software: bool) -> Result<Self> {
        let mut selectors = Vec::new();
        if software || scripts.is_empty() {
            for script in SOFTWARE {
                selectors.push(ScriptSelector::Named(script.parse()?));
            }
        }
        if !software && scripts.is_empty() {
            selectors.push(ScriptSelector::Everything);
        }
        for text in scripts {
            if text.is_empty() {
                selectors.push(ScriptSelector::Everything);
                continue;
            }
            for part in ScriptLine::parts(text) {
                match part.parse() {
                    Ok(line) => selectors.push(ScriptSelector::Named(line)),
                    Err(error) if ScriptLine::parts(text).count() > 1 => {
                        bail!("{error}; in a list, quote an argument that contains a comma")
                    }
                    Err(error) => bail!(error),
                }
            }
        }
        Ok(Self { selectors })
    }

    /// Returns whether the node's whole list runs, which is what `firstboot --update` does without lines.
    pub(crate) fn is_everything(&self) -> bool {
        self.selectors == [ScriptSelector::Everything]
    }

    /// Lists the lines for one node, in order.
    pub(crate) fn plan(&self, list: &Runlist) -> Vec<ScriptLine> {
        let mut plan = Vec::new();
        for selector in &self.selectors {
            for line in selector.lines(list) {
                if !plan.contains(&line) {
                    plan.push(line);
                }
            }
        }
        plan
    }
}

impl ScriptSelector {
    /// Lists the lines that it selects for one node.
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
        // A line with arguments, or one that is in the list, means itself.
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

/// Parses the words that select all scripts of one origin.
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
    fn a_name_of_no_script_is_refused_with_the_reason() {
        let refused = |text: &str| {
            let error = Request::parse(&[text.to_owned()], false).unwrap_err();
            error.to_string()
        };
        let wrong = |line: &str| line.parse::<ScriptLine>().unwrap_err();
        assert_eq!(refused("../mine"), wrong("../mine").to_string());
        assert_eq!(
            refused("bridgeprereq eth0:b0,eth1:b1"),
            format!(
                "{}; in a list, quote an argument that contains a comma",
                wrong("eth1:b1")
            )
        );
    }
}
