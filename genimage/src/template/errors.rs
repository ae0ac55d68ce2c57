//! Tera's errors as problems of ours: file, line and a sentence.

use std::collections::HashMap;

use tera::{Error, ErrorKind, ReportError};

use super::TemplateSource;
use super::syntax::{SegmentKind, segments, without_marker_lines};
use crate::problem::{FileLine, Problem};

/// Tells whether a template could not be parsed.
pub(super) fn is_syntax(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::SyntaxError(_))
}

/// Describes an error; there is always at least one problem.
pub(super) fn problems(error: &Error, sources: &HashMap<String, TemplateSource>) -> Vec<Problem> {
    match error.kind() {
        ErrorKind::SyntaxError(report) => vec![reported(report, sources, syntax(report.message()))],
        ErrorKind::RenderingError(report) => {
            let text = spanned(report, sources);
            vec![reported(
                report,
                sources,
                rendering(report.message(), &text),
            )]
        }
        ErrorKind::TemplateNotFound(name) => {
            vec![Problem::new(format!("there is no template '{name}'"))]
        }
        _ => references(&error.to_string(), sources),
    }
}

/// Takes apart the reports of references that lead nowhere, which tera hands over as one text.
fn references(text: &str, sources: &HashMap<String, TemplateSource>) -> Vec<Problem> {
    text.split("\n\n")
        .map(|report| {
            let mut lines = report.lines();
            let first = lines.next().unwrap_or_default();
            let message = first.strip_prefix("error: ").unwrap_or(first);
            let locus = lines
                .next()
                .and_then(|line| line.trim_start().strip_prefix("--> "))
                .and_then(|locus| {
                    let mut parts = locus.rsplitn(3, ':').skip(1);
                    Some((parts.next()?.parse().ok()?, parts.next()?))
                });
            match locus {
                Some((line, name)) => Problem::at(place(name, line, sources), reference(message)),
                None => Problem::new(message),
            }
        })
        .collect()
}

fn reference(message: &str) -> String {
    let quoted = message.split('`').nth(1).unwrap_or_default();
    if message.starts_with("Block") {
        format!(
            "overrides block '{quoted}', which no template that it extends has: docs/templates.md lists the blocks"
        )
    } else if message.starts_with("Unknown filter") {
        format!("there is no filter '{quoted}': docs/templates.md lists them")
    } else {
        lowered(message)
    }
}

fn syntax(message: &str) -> String {
    lowered(message)
}

fn rendering(message: &str, text: &str) -> String {
    if message.contains("undefined") || message.contains("not defined") {
        let text = text.split('|').next().unwrap_or(text).trim();
        format!("'{text}' is not given here: ask with <% if {text} %> before it is written")
    } else {
        format!("'{text}': {}", lowered(message))
    }
}

/// Writes a sentence of tera's as the rest of one of ours.
fn lowered(message: &str) -> String {
    let mut characters = message.chars();
    match characters.next() {
        Some(first) => first.to_lowercase().chain(characters).collect::<String>(),
        None => String::new(),
    }
    .replace('`', "'")
    .replace("'{{'", "'<@'")
    .replace("'}}'", "'@>'")
    .replace("'{%'", "'<%'")
    .replace("'%}'", "'%>'")
}

fn reported(
    report: &ReportError,
    sources: &HashMap<String, TemplateSource>,
    message: String,
) -> Problem {
    let line = report.span().start_line;
    Problem::at(place(report.filename(), line, sources), message)
}

/// Returns the expression that an error is about: all between the marks, where they write a value.
fn spanned(report: &ReportError, sources: &HashMap<String, TemplateSource>) -> String {
    let Some(source) = sources.get(report.filename()) else {
        return String::new();
    };
    let text = without_marker_lines(&source.text);
    let span = report.span().range.clone();
    let mut end = 0;
    let around = segments(&text).into_iter().find(|segment| {
        end += segment.text.len();
        span.start < end
    });
    match around {
        Some(segment) if segment.kind == SegmentKind::Value => segment.inner().trim().to_owned(),
        _ => text.get(span).unwrap_or_default().trim().to_owned(),
    }
}

fn place(name: &str, line: usize, sources: &HashMap<String, TemplateSource>) -> FileLine {
    FileLine {
        file: sources
            .get(name)
            .map_or_else(|| name.into(), |source| source.file.clone()),
        line,
    }
}
