//! Repositories as apt, dnf and zypper are configured for them. Pure.

use definitions::{AptKey, AptSource, RepositoryFormat, RpmRepo, RpmSignatures};

use super::Repository;

impl Repository {
    /// Where a node has the key of indices that the site signed.
    pub(crate) const INDEX_KEY: &str = "/etc/pki/rpm-gpg/RPM-GPG-KEY-slipway-trees";

    /// Returns the name of the file that configures a node for it: `extra1.sources`, `extra1.repo`.
    pub fn file_name(&self) -> String {
        match self.form {
            RepositoryFormat::Apt => format!("{}.sources", self.name),
            RepositoryFormat::Dnf | RepositoryFormat::Zypper => format!("{}.repo", self.name),
        }
    }

    /// Returns the text of that file: deb822 with the key in it for apt, which reads such since 2.3.10; a
    /// section that checks signatures for dnf and zypper.
    pub fn file(&self) -> String {
        match self.form {
            RepositoryFormat::Apt => self.apt_source().render(),
            RepositoryFormat::Dnf | RepositoryFormat::Zypper => self.rpm_repo().render(),
        }
    }

    /// Returns it as apt is configured for it, with the key within.
    pub fn apt_source(&self) -> AptSource {
        AptSource {
            uri: self.uri.clone(),
            suite: self.suite.clone().unwrap_or_else(|| "./".to_owned()),
            components: self.components.clone(),
            architectures: self.architectures.clone(),
            signed_by: self.key.clone().map(AptKey::Armoured),
            trusted: self.trusted,
        }
    }

    fn rpm_repo(&self) -> RpmRepo {
        let index_key = self.index_key.as_ref();
        let index_key_url = index_key.map(|_| format!("file://{}", Self::INDEX_KEY));
        RpmRepo {
            name: self.name.clone(),
            uri: self.uri.clone(),
            key_urls: self.key_url.iter().cloned().chain(index_key_url).collect(),
            signatures: match index_key {
                Some(_) if !self.trusted => RpmSignatures::IndexToo,
                _ => RpmSignatures::unless_trusted(self.trusted),
            },
            zypper: self.form == RepositoryFormat::Zypper,
        }
    }
}
