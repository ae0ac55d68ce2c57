//! The command line of `slipway-trust`.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use definitions::Noderange;
use definitions::command::Config;

use super::ipxe::{FirmwareKind, SourcePlace};
use super::sign::SignedFile;
use super::term::Validity;

/// The site's authorities: what nodes and clients know each other by
///
/// The authorities lie in trust/ below the directory of the definitions, for root alone. None of their keys ever leaves
/// this machine, but for the root's, which should: it is needed by renew alone.
#[derive(Debug, Clone, Parser)]
#[command(name = "slipway-trust", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Args {
    #[command(flatten)]
    pub(crate) config: Config,

    /// Print results as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Say what would be done; change nothing
    #[arg(long, global = true)]
    pub(crate) dry_run: bool,

    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What is done.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Verb {
    /// Make the authorities, once: root, nodes, clients, ssh hosts, and the key that signs trees and root images
    Init,

    /// Say what there is, until when, and what is wrong; exits with 1 if something is
    Status,

    /// Sign a certificate
    Issue {
        /// The client, or the node
        name: String,

        /// How long it is valid: 12h for a client unless given, 30d for a node
        #[arg(long = "for", value_name = "TERM")]
        term: Option<Validity>,

        /// What it is for
        #[arg(long = "as", value_name = "PURPOSE", default_value = "client")]
        purpose: IssuePurpose,

        /// Sign the key of this request (PKCS #10, or a public ssh key); a node's names are those of its definition
        #[arg(long, value_name = "FILE")]
        request: Option<PathBuf>,

        /// Put the files into DIR: cert.pem, key.pem, ca.pem, as docker reads them; NAME unless given
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },

    /// Sign an authority, or this machine's own certificate, anew; needs the root's key, for bootfiles that of boot, for server and trees neither
    Renew {
        /// Which; trees is the key of trees, which is made where there is none
        #[arg(required = true, value_parser = ["nodes", "clients", "server", "trees", "bootfiles"])]
        holders: Vec<String>,

        /// With a new key: what the old one signed is not trusted any more; that of bootfiles is until its certificate ends
        #[arg(long)]
        new_key: bool,
    },

    /// Revoke all certificates of a name
    Revoke {
        /// The client, or the node; the serial of one certificate with --serial
        name: String,

        /// It is the serial of one certificate
        #[arg(long)]
        serial: bool,
    },

    /// Change the site's authority over all hosts, and what signs trees, images and boot files, while the old and the new count
    ///
    /// Needs the root's key once. Goes on as far as hosts have come, and is run again until it ends; a run that is cut off is
    /// taken up by the next. Exits with 75 while hosts are waited for.
    Roll {
        /// Go on without these hosts and clients: a host has to enrol again, or nodeset is run for it, a client needs another certificate
        #[arg(long, value_name = "NAME", value_delimiter = ',')]
        leave: Vec<String>,

        /// Go back to the old authority
        #[arg(long)]
        abort: bool,

        /// Say how far it is, and what is to be done; change nothing
        #[arg(long, conflicts_with_all = ["abort", "leave"])]
        status: bool,
    },

    /// Print what others are to trust
    Export {
        /// What
        what: ExportedPart,
    },

    /// Let nodes enrol, once each; --json prints the one-time secrets
    Arm {
        /// The nodes
        nodes: Noderange,

        /// For how long
        #[arg(long = "for", value_name = "TERM", default_value = "4h")]
        term: Validity,
    },

    /// Let nodes enrol no more
    Disarm {
        /// The nodes
        nodes: Noderange,
    },

    /// Build the site's own iPXE, which boots nothing that the site did not sign
    Ipxe {
        /// Where its source is: the distribution's source package, or a directory that holds it unpacked
        #[arg(long, value_name = "apt|DIR", default_value = "apt")]
        source: SourcePlace,

        /// For which firmware; all that this machine has a compiler for unless given
        #[arg(long, value_name = "FIRMWARE", value_delimiter = ',')]
        firmware: Vec<FirmwareKind>,

        /// Put what is built into DIR, for a trial: nodes go on booting what they do
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,

        /// Give a person at the machine iPXE's shell when nothing boots
        #[arg(long)]
        shell: bool,

        /// Remove it: nodes boot the distribution's iPXE again, which checks nothing
        #[arg(long, conflicts_with_all = ["source", "firmware", "out", "shell"])]
        remove: bool,
    },

    /// Sign what nodes boot, as nodeset does: FILE.sig beside each
    Sign {
        /// Files, and as what each is signed: node:NAME=FILE, osimage:NAME=FILE
        #[arg(required = true, value_name = "SIGNER=FILE")]
        files: Vec<SignedFile>,

        /// Put the signatures into DIR
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },

    /// Sign trees that copycds published, so that nodes can tell their packages from anybody else's
    ///
    /// copycds and nodeset run this by themselves. The medium's own signatures stay as they are; the site's are in
    /// .slipway/signed below the tree, which has all of the tree by links. A tree that is signed is left alone.
    SignTree {
        /// The trees: /install/debian13.1.0/x86_64
        #[arg(required = true, value_name = "TREE")]
        trees: Vec<PathBuf>,

        /// Sign also what nobody vouched for when it was imported
        #[arg(long)]
        accept_unsigned: bool,
    },

    /// Sign what vouches for root images, as packimage, imgexport and imgimport do: FILE.asc beside each
    SignImage {
        /// Records of root images (rootimg.json), manifests of bundles
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,

        /// Put the signatures into DIR
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },

    /// Sign for nodes that enrol: what slipwayd asks, on its socket; the only part of it that reads keys
    Signer {
        /// Listen on PATH, for those whom the umask lets write; unless given, standard input is the listening socket, as systemd hands it over
        #[arg(long, value_name = "PATH")]
        socket: Option<PathBuf>,
    },
}

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum IssuePurpose {
    /// A client of docker hosts
    Client,
    /// The identity of a node
    Node,
    /// The ssh host key of a node
    SshHost,
}

impl IssuePurpose {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Node => "node",
            Self::SshHost => "ssh-host",
        }
    }

    /// How long it is valid unless asked otherwise, and at most.
    pub(crate) fn terms(self) -> (Validity, Validity) {
        match self {
            Self::Client => (Validity::hours(12), Validity::hours(30 * 24)),
            Self::Node | Self::SshHost => (Validity::hours(30 * 24), Validity::hours(90 * 24)),
        }
    }
}

/// What others are to trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportedPart {
    /// The root's certificate
    Root,
    /// The certificate of the authority of clients: what dockerd trusts
    Clients,
    /// The line of known_hosts for ssh hosts
    Ssh,
    /// The public key of trees (OpenPGP)
    Trees,
    /// The lists of what is revoked
    Crl,
}

const EXAMPLES: &str = "\
Examples:
  slipway-trust init
  slipway-trust status
  slipway-trust issue alice --for 12h          alice/{cert,key,ca}.pem: DOCKER_CERT_PATH=alice
  slipway-trust issue host01 --as node --request host01.csr
  slipway-trust arm rack1 --for 4h --json      one-time secrets, for nodes that install
  slipway-trust revoke alice
  slipway-trust roll                           another authority; again until it ends
  slipway-trust sign-tree /install/debian13.1.0/x86_64
  slipway-trust export ssh >>/etc/ssh/ssh_known_hosts
  slipway-trust ipxe                           then makedhcp -n and nodeset: nodes boot what is signed alone

Exit status: 0: done; 1: not, or status found something wrong; 2: wrong usage; 75: roll waits for hosts.";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_parser_is_sound() {
        Args::command().debug_assert();
        let parsed = |line: &str| Args::try_parse_from(line.split(' '));
        for line in [
            "init --dry-run",
            "status --json",
            "issue alice --for 12h",
            "renew nodes clients --new-key",
            "renew trees",
            "sign-tree /install/a /install/b --accept-unsigned",
            "sign-image rootimg.json --out d",
            "arm n[1-3] --for 4h --json",
            "revoke --serial 00",
            "export ssh",
            "ipxe --source /src/ipxe --firmware bios,x86_64 --shell",
            "ipxe --remove",
            "roll --leave n1,alice --json",
            "roll --status",
            "roll --abort --dry-run",
            "sign node:n1=boot.ipxe osimage:a=b=c --out d",
            "renew bootfiles",
        ] {
            assert!(parsed(&format!("slipway-trust {line}")).is_ok(), "{line}");
        }
        for line in [
            "issue",
            "issue a --for 1y",
            "renew root",
            "renew",
            "arm",
            "sign-tree",
            "sign-image",
            "export key",
            "export signing",
            "ipxe --remove --shell",
            "roll --status --abort",
            "sign",
            "sign boot.ipxe",
            "x",
        ] {
            assert_eq!(
                parsed(&format!("slipway-trust {line}"))
                    .unwrap_err()
                    .exit_code(),
                2,
                "{line}"
            );
        }
    }
}
