//! Sections of a `.repo` file, which yum, dnf and zypper read. Pure.
//!
//! References: dnf.conf(5), yum.conf(5) of EL 7, zypper(8).

use std::fmt::Write as _;

/// A repository as dnf or zypper is configured for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RpmRepo {
    /// Its name and id.
    pub name: String,
    /// Where it is.
    pub uri: String,
    /// The URL of the key that signs its packages.
    pub key_url: Option<String>,
    /// Whether no signature is needed.
    pub trusted: bool,
    /// Whether zypper reads it, which has switches of its own.
    pub zypper: bool,
}

impl RpmRepo {
    /// Renders its section.
    pub fn render(&self) -> String {
        let Self { name, uri, .. } = self;
        let mut text = format!("[{name}]\nname={name}\nbaseurl={uri}\nenabled=1\n");
        if self.zypper {
            text.push_str("autorefresh=1\n");
        }
        let _ = writeln!(text, "gpgcheck={}", u8::from(!self.trusted));
        if self.trusted && self.zypper {
            text.push_str("repo_gpgcheck=0\npkg_gpgcheck=0\n");
        }
        if let Some(url) = self.key_url.as_ref().filter(|_| !self.trusted) {
            let _ = writeln!(text, "gpgkey={url}");
        }
        text
    }

    /// Reads the enabled repositories of a file. Comments and sections without a `baseurl` are passed over.
    pub fn parse_all(text: &str) -> Vec<Self> {
        let mut found: Vec<(Self, bool)> = Vec::new();
        for line in text.lines().map(str::trim) {
            if let Some(name) = line
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'))
            {
                let repo = Self {
                    name: name.to_owned(),
                    ..Self::default()
                };
                found.push((repo, true));
                continue;
            }
            if line.starts_with(['#', ';']) {
                continue;
            }
            if let (Some((repo, enabled)), Some((key, value))) =
                (found.last_mut(), line.split_once('='))
            {
                let value = value.trim();
                match key.trim() {
                    "baseurl" => repo.uri = value.to_owned(),
                    "gpgkey" => repo.key_url = Some(value.to_owned()),
                    "gpgcheck" => repo.trusted = is_off(value),
                    "enabled" => *enabled = !is_off(value),
                    "autorefresh" => repo.zypper = true,
                    _ => {}
                }
            }
        }
        let used = |(repo, enabled): &(Self, bool)| *enabled && !repo.uri.is_empty();
        found
            .into_iter()
            .filter(used)
            .map(|(repo, _)| repo)
            .collect()
    }
}

fn is_off(value: &str) -> bool {
    let off = ["0", "no", "false", "off"];
    off.iter().any(|word| value.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_section_checks_signatures_unless_it_is_trusted() {
        let repo = RpmRepo {
            name: "extra1".to_owned(),
            uri: "https://h/r".to_owned(),
            key_url: Some("https://h/key".to_owned()),
            ..RpmRepo::default()
        };
        assert_eq!(
            repo.render(),
            "[extra1]\nname=extra1\nbaseurl=https://h/r\nenabled=1\ngpgcheck=1\ngpgkey=https://h/key\n"
        );
        let trusted = RpmRepo {
            trusted: true,
            zypper: true,
            ..repo
        };
        assert_eq!(
            trusted.render(),
            "[extra1]\nname=extra1\nbaseurl=https://h/r\nenabled=1\nautorefresh=1\ngpgcheck=0\nrepo_gpgcheck=0\n\
             pkg_gpgcheck=0\n"
        );
    }

    #[test]
    fn only_enabled_sections_with_a_base_url_count() {
        let text = "baseurl=http://no/1\n[main]\nbest=1\n[a]\n#baseurl=http://no/2\nbaseurl = http://h/a/\n; x=y\n\
                    gpgcheck = No\n[b]\nbaseurl=http://no/3\nenabled=0\n[c]\nmirrorlist=http://no/4\n";
        let expected = RpmRepo {
            name: "a".to_owned(),
            uri: "http://h/a/".to_owned(),
            trusted: true,
            ..RpmRepo::default()
        };
        assert_eq!(RpmRepo::parse_all(text), [expected]);
    }

    fn repos() -> impl Strategy<Value = RpmRepo> {
        let key = prop::option::of("(https|file)://[a-z/=]{1,9}");
        (
            "[a-z0-9-]{1,9}",
            "https?://[a-z/$=]{1,9}",
            key,
            any::<bool>(),
            any::<bool>(),
        )
            .prop_map(|(name, uri, key_url, trusted, zypper)| RpmRepo {
                name,
                uri,
                key_url: key_url.filter(|_| !trusted),
                trusted,
                zypper,
            })
    }

    proptest! {
        #[test]
        fn what_is_rendered_parses_to_the_same(repos in prop::collection::vec(repos(), 0..4)) {
            let text: Vec<_> = repos.iter().map(RpmRepo::render).collect();
            prop_assert_eq!(RpmRepo::parse_all(&text.join("\n")), repos);
        }
    }
}
