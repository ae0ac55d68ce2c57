//! `--status`: which list holds, since when and until when, and whether dockerd gets answers.

use std::process::ExitCode;

use anyhow::{Context, Result};
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Paths;
use super::fetch::LastFetch;
use super::lists::Lists;
use super::serve;

#[derive(Debug, Serialize)]
struct Status {
    /// How many certificates are revoked.
    revoked: Option<usize>,
    from: Option<String>,
    until: Option<String>,
    /// When the list was asked for last, on this host.
    asked: Option<String>,
    /// Whether the plugin answers.
    answers: bool,
    /// What is wrong.
    wrong: Vec<String>,
}

/// Prints the status; exits with 1 when something is wrong.
pub(super) fn show(paths: &Paths, json: bool) -> Result<ExitCode> {
    let status = look(paths, OffsetDateTime::now_utc());
    if json {
        let text = serde_json::to_string_pretty(&status).context("writing JSON")?;
        output_line!("{text}");
    } else {
        print(&status);
    }
    Ok(if status.wrong.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn look(paths: &Paths, now: OffsetDateTime) -> Status {
    let mut wrong = Vec::new();
    let lists = match Lists::load(paths) {
        Ok(Some(lists)) => Some(lists),
        Ok(None) => {
            wrong.push(
                "there is no list of what is revoked: the site's clients are refused".to_owned(),
            );
            None
        }
        Err(error) => {
            wrong.push(format!("{error:#}: the site's clients are refused"));
            None
        }
    };
    let until = lists.as_ref().and_then(Lists::until);
    if let Some(until) = until.filter(|until| *until <= now) {
        wrong.push(format!(
            "the list ended at {until}: the site's clients are refused"
        ));
    }
    let last = LastFetch::load(paths);
    if let Some(error) = last.as_ref().and_then(|last| last.error.as_ref()) {
        wrong.push(format!("{error}: the last list holds"));
    }
    let answered = serve::ask(&paths.socket(), "/Plugin.Activate", "{}");
    if let Err(error) = &answered {
        wrong.push(format!(
            "{error:#}: dockerd refuses everything while nobody answers: systemctl restart slipway-dockerauthz.socket"
        ));
    }
    Status {
        revoked: lists.as_ref().map(Lists::len),
        from: lists.as_ref().and_then(Lists::from).and_then(stamp),
        until: until.and_then(stamp),
        asked: last
            .and_then(|last| OffsetDateTime::from_unix_timestamp(last.time).ok())
            .and_then(stamp),
        answers: answered.is_ok(),
        wrong,
    }
}

fn stamp(time: OffsetDateTime) -> Option<String> {
    time.format(&Rfc3339).ok()
}

fn print(status: &Status) {
    let time = |time: &Option<String>| time.clone().unwrap_or("-".to_owned());
    output_line!(
        "revoked: {}",
        status
            .revoked
            .map_or("-".to_owned(), |count| count.to_string())
    );
    output_line!(
        "list: made at {}, valid until {}",
        time(&status.from),
        time(&status.until)
    );
    output_line!("asked for: {}", time(&status.asked));
    output_line!(
        "plugin: {}",
        if status.answers {
            "answers"
        } else {
            "does not answer"
        }
    );
    for wrong in &status.wrong {
        output_line!("wrong: {wrong}");
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::dockerauthz::answer::tests::SiteHost;
    use crate::dockerauthz::lists::keep;

    #[test]
    fn what_is_wrong_is_said() {
        let site = SiteHost::new();
        let (paths, now) = (site.paths(), site.now);
        let dead = format!(
            "asking on {}: No such file or directory (os error 2): dockerd refuses everything while nobody answers: \
             systemctl restart slipway-dockerauthz.socket",
            paths.socket().display()
        );
        assert_eq!(
            look(&paths, now).wrong,
            [
                "there is no list of what is revoked: the site's clients are refused",
                &dead
            ]
        );
        keep(&paths, &site.clients.list(1, &[7], now), now).unwrap();
        let status = look(&paths, now);
        assert_eq!((status.revoked, status.from), (Some(1), stamp(now)));
        assert_eq!(status.wrong, [dead.as_str()]);
        fs::create_dir_all(paths.last().parent().unwrap()).unwrap();
        let last = "{\"time\":1800000000,\"error\":\"no route\"}";
        fs::write(paths.last(), last).unwrap();
        let until = now + time::Duration::days(7);
        assert_eq!(
            look(&paths, until).wrong,
            [
                &format!("the list ended at {until}: the site's clients are refused"),
                "no route: the last list holds",
                &dead
            ]
        );
    }
}
