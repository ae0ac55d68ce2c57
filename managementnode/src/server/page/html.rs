//! The page's HTML. Everything that comes from elsewhere is escaped by the type that it is written through.

use definitions::states::{ReportEvidence, ReportedState, StateReport};
use maud::{DOCTYPE, Markup, html};
use time::{Duration, OffsetDateTime};

use crate::trust::stamp;

/// How long a node may install, boot or run its scripts before that is wrong.
const OVERDUE: Duration = Duration::hours(2);

/// How often a browser asks again, in seconds.
const REFRESH: u32 = 30;

/// What is shown.
#[derive(Debug)]
pub(super) struct PageContent {
    pub(super) site: Option<String>,
    /// The node range that was asked for.
    pub(super) range: String,
    /// The nodes, and what each reported last.
    pub(super) nodes: Vec<(String, Option<StateReport>)>,
    pub(super) now: OffsetDateTime,
    /// For clients alone.
    pub(super) trust: Option<TrustLine>,
}

/// What is wrong with the authorities.
#[derive(Debug)]
pub(super) enum TrustLine {
    Known {
        problems: Vec<String>,
        alarms: Vec<String>,
    },
    Unknown(String),
}

/// Where a node is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    Wrong,
    Busy,
    Good,
    Unknown,
}

impl Section {
    /// Says where a node with a last report is listed.
    fn of(report: Option<&StateReport>, now: OffsetDateTime) -> Self {
        match report.map(|report| (report.state, now - report.time)) {
            None => Self::Unknown,
            Some((ReportedState::Booted, _)) => Self::Good,
            Some((ReportedState::Failed, _)) => Self::Wrong,
            Some((_, lasted)) if lasted > OVERDUE => Self::Wrong,
            Some(_) => Self::Busy,
        }
    }
}

/// Writes the page.
pub(super) fn render(content: &PageContent) -> Markup {
    let of = |section| {
        let nodes = content.nodes.iter();
        let listed =
            nodes.filter(move |(_, report)| Section::of(report.as_ref(), content.now) == section);
        listed.collect::<Vec<_>>()
    };
    let (wrong, busy) = (of(Section::Wrong), of(Section::Busy));
    let (good, unknown) = (of(Section::Good), of(Section::Unknown));
    let site = content.site.as_deref().unwrap_or("nodes");
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="refresh" content=(REFRESH);
                title { (site) ": " (wrong.len()) " wrong of " (content.nodes.len()) }
                link rel="stylesheet" href="/page.css";
            }
            body {
                header {
                    h1 { (site) }
                    span.count { (content.nodes.len()) " nodes" }
                    span.count.bad { (wrong.len()) " wrong" }
                    span.count.busy { (busy.len()) " under way" }
                    span.count.good { (good.len()) " booted" }
                    span.count.none { (unknown.len()) " unknown" }
                    form {
                        input name="noderange" value=(content.range) placeholder="node range" aria-label="node range";
                        " " button { "Show" }
                    }
                }
                main {
                    (trust(content.trust.as_ref()))
                    (table("Wrong", "bad", &wrong, content.now))
                    (table("Under way", "busy", &busy, content.now))
                    (names("Booted", "good", &good))
                    (names("Unknown: nothing reported", "none", &unknown))
                }
                footer {
                    "As of " (stamp(content.now)) ". What is known by a node's address alone (*) can be forged on its network."
                }
            }
        }
    }
}

/// Says why the page is not shown.
pub(super) fn refusal(status: u16, detail: &str) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                title { (status) }
                link rel="stylesheet" href="/page.css";
            }
            body { h1 { (status) } p { (detail) } }
        }
    }
}

fn trust(trust: Option<&TrustLine>) -> Markup {
    let lines = |lines: &[String]| html! { @for line in lines { div.bad { (line) } } };
    match trust {
        None => html! {},
        Some(TrustLine::Unknown(why)) => html! { h2.bad { "Authorities" } div.bad { (why) } },
        Some(TrustLine::Known { problems, alarms }) if problems.is_empty() && alarms.is_empty() => {
            html! {}
        }
        Some(TrustLine::Known { problems, alarms }) => html! {
            h2.bad { "Authorities: " (problems.len()) " wrong, " (alarms.len()) " alarms" }
            (lines(problems))
            (lines(alarms))
        },
    }
}

type Listed<'a> = &'a (String, Option<StateReport>);

/// Lists nodes with all that is known, those that are so longest first.
fn table(title: &str, class: &str, nodes: &[Listed<'_>], now: OffsetDateTime) -> Markup {
    let known = nodes
        .iter()
        .filter_map(|(node, report)| Some((node, report.as_ref()?)));
    let mut known: Vec<_> = known.collect();
    known.sort_by_key(|(_, report)| report.time);
    html! {
        @if !known.is_empty() {
            h2 class=(class) { (title) " (" (known.len()) ")" }
            table {
                thead { tr { th { "Node" } th { "State" } th { "For" } th { "Since" } th { "Last lines" } } }
                tbody {
                    @for (node, report) in known {
                        tr {
                            td { (node) }
                            td class=(class) { (report.state) (mark(report)) }
                            td { (age(now - report.time)) }
                            td { (stamp(report.time)) }
                            td { @if !report.lines.is_empty() { pre { (report.lines.join("\n")) } } }
                        }
                    }
                }
            }
        }
    }
}

/// Lists nodes by their names.
fn names(title: &str, class: &str, nodes: &[Listed<'_>]) -> Markup {
    html! {
        @if !nodes.is_empty() {
            h2 class=(class) { (title) " (" (nodes.len()) ")" }
            ul {
                @for (node, report) in nodes {
                    @match report {
                        Some(report) => li title=(format!("{node} since {}", stamp(report.time))) { (node) (mark(report)) },
                        None => li title=(node) { (node) },
                    }
                }
            }
        }
    }
}

/// Marks what is known by an address alone.
fn mark(report: &StateReport) -> &'static str {
    match report.by {
        ReportEvidence::Address => "*",
        ReportEvidence::Certificate => "",
    }
}

/// Says how long something lasts, in its two largest units.
fn age(lasted: Duration) -> String {
    let minutes = lasted.whole_minutes().max(0);
    match (minutes / 1440, minutes / 60 % 24, minutes % 60) {
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(nodes: Vec<(String, Option<StateReport>)>) -> PageContent {
        PageContent {
            site: Some("<site>".to_owned()),
            range: "\"><script>".to_owned(),
            nodes,
            now: OffsetDateTime::UNIX_EPOCH + Duration::hours(100),
            trust: Some(TrustLine::Known {
                problems: Vec::new(),
                alarms: vec!["<b>alarm</b>".to_owned()],
            }),
        }
    }

    fn reported(
        node: &str,
        state: ReportedState,
        hours: i64,
        lines: &[&str],
    ) -> (String, Option<StateReport>) {
        let report = StateReport {
            node: node.to_owned(),
            state,
            time: OffsetDateTime::UNIX_EPOCH + Duration::hours(hours),
            by: ReportEvidence::Address,
            lines: lines.iter().map(|line| (*line).to_owned()).collect(),
        };
        (node.to_owned(), Some(report))
    }

    #[test]
    fn what_nodes_and_browsers_say_is_text_and_never_markup() {
        let page = render(&content(vec![reported(
            "n1",
            ReportedState::Failed,
            1,
            &["</pre><img src=x onerror=alert(1)>", "&amp;"],
        )]));
        let page = page.into_string();
        for odd in ["<script", "<img", "<site>", "<b>alarm"] {
            assert!(!page.contains(odd), "{odd}: {page}");
        }
        assert!(
            page.contains("&lt;/pre&gt;&lt;img src=x onerror=alert(1)&gt;\n&amp;amp;"),
            "{page}"
        );
        assert!(
            page.contains("value=\"&quot;&gt;&lt;script&gt;\""),
            "{page}"
        );
    }

    #[test]
    fn what_takes_too_long_is_wrong_and_the_longest_is_first() {
        let page = render(&content(vec![
            reported("new", ReportedState::Installing, 99, &[]),
            reported("failed", ReportedState::Failed, 98, &[]),
            reported("stuck", ReportedState::Installing, 50, &[]),
            reported("fine", ReportedState::Booted, 0, &[]),
        ]));
        let page = page.into_string();
        let at = |text: &str| {
            page.find(text)
                .unwrap_or_else(|| panic!("{text} is not in {page}"))
        };
        assert!(
            page.contains("<title>&lt;site&gt;: 2 wrong of 4</title>"),
            "{page}"
        );
        assert!(at("Wrong (2)") < at("<td>stuck</td>"));
        assert!(at("<td>stuck</td>") < at("<td>failed</td>"));
        assert!(at("<td>failed</td>") < at("Under way (1)"));
        assert!(at("Under way (1)") < at("<td>new</td>"));
        assert!(at("Booted (1)") < at("fine since"));
        assert!(page.contains("<td>2 d 2 h</td>"), "{page}");
    }
}
