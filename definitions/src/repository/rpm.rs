//! Sections of a `.repo` file, which yum, dnf and zypper read. Pure.
//!
//! References: dnf.conf(5), yum.conf(5) of EL 7, zypper(8).

use std::fmt::Write as _;

/// Which signatures a package manager asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RpmSignatures {
    /// None: the definition says so explicitly.
    Nothing,
    /// Those that it asks for by itself: dnf of each package, zypper of the index, and of packages where that has none.
    #[default]
    Usual,
    /// That of the index (`repomd.xml.asc`) in any case, and those of packages.
    IndexToo,
}

impl RpmSignatures {
    /// Returns the usual ones, or none of a repository that is trusted explicitly.
    pub fn unless_trusted(trusted: bool) -> Self {
        if trusted { Self::Nothing } else { Self::Usual }
    }
}

/// A repository as dnf or zypper is configured for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RpmRepo {
    /// Its name and id.
    pub name: String,
    /// Where it is.
    pub uri: String,
    /// The URLs of the keys that sign its packages and its index.
    pub key_urls: Vec<String>,
    /// Which signatures are asked for.
    pub signatures: RpmSignatures,
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
        text.push_str(match (self.signatures, self.zypper) {
            (RpmSignatures::Nothing, false) => "gpgcheck=0\n",
            (RpmSignatures::Nothing, true) => "gpgcheck=0\nrepo_gpgcheck=0\npkg_gpgcheck=0\n",
            (RpmSignatures::Usual, _) => "gpgcheck=1\n",
            (RpmSignatures::IndexToo, _) => "gpgcheck=1\nrepo_gpgcheck=1\n",
        });
        if self.signatures != RpmSignatures::Nothing && !self.key_urls.is_empty() {
            let _ = writeln!(text, "gpgkey={}", self.key_urls.join(" "));
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
                    "gpgkey" => {
                        let urls = value.split([' ', '\t', ',']);
                        let urls = urls.filter(|url| !url.is_empty());
                        repo.key_urls = urls.map(str::to_owned).collect();
                    }
                    "gpgcheck" => repo.signatures = RpmSignatures::unless_trusted(is_off(value)),
                    "repo_gpgcheck" if !is_off(value) => repo.signatures = RpmSignatures::IndexToo,
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
            key_urls: vec!["https://h/key".to_owned()],
            ..RpmRepo::default()
        };
        assert_eq!(
            repo.render(),
            "[extra1]\nname=extra1\nbaseurl=https://h/r\nenabled=1\ngpgcheck=1\ngpgkey=https://h/key\n"
        );
        let signed = RpmRepo {
            key_urls: vec!["file:///k1".to_owned(), "file:///k2".to_owned()],
            signatures: RpmSignatures::IndexToo,
            ..repo.clone()
        };
        assert_eq!(
            signed.render(),
            "[extra1]\nname=extra1\nbaseurl=https://h/r\nenabled=1\ngpgcheck=1\nrepo_gpgcheck=1\n\
             gpgkey=file:///k1 file:///k2\n"
        );
        let trusted = RpmRepo {
            signatures: RpmSignatures::Nothing,
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
            signatures: RpmSignatures::Nothing,
            ..RpmRepo::default()
        };
        assert_eq!(RpmRepo::parse_all(text), [expected]);
    }

    fn repos() -> impl Strategy<Value = RpmRepo> {
        use RpmSignatures::{IndexToo, Nothing, Usual};
        let keys = prop::collection::vec("(https|file)://[a-z/=]{1,9}", 0..3);
        (
            "[a-z0-9-]{1,9}",
            "https?://[a-z/$=]{1,9}",
            keys,
            prop::sample::select(vec![Nothing, Usual, IndexToo]),
            any::<bool>(),
        )
            .prop_map(|(name, uri, mut key_urls, signatures, zypper)| {
                if signatures == Nothing {
                    key_urls.clear();
                }
                RpmRepo {
                    name,
                    uri,
                    key_urls,
                    signatures,
                    zypper,
                }
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
