//! Recognition against the corpus of real media: every row and file of it is judged, a table says how
//! many are right, and the suite fails when a kind falls under its aim or any answer is silently wrong.
//!
//! The corpus lies beside the repository (`../shared/corpus`, or `SLIPWAY_CORPUS`); where it does not,
//! every trial is ignored and says so. Only names of files and short strings of it are quoted here.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use copycds::media::{Medium, VolumeIds};
use copycds::recognise::{
    Evidence, MediumIdentity, RecognitionRules, Rejection, RequestedRelease, gather, identify,
};
use definitions::Arch;
use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let args = Arguments::from_args();
    let corpus = std::env::var_os("SLIPWAY_CORPUS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus"),
        PathBuf::from,
    );
    let there = corpus.is_dir();
    let kinds: [(&str, Reader); 6] = [
        ("disk_info_lines", disk_infos),
        ("volume_descriptors", volumes),
        ("treeinfo_files", treeinfos),
        ("discinfo_files", discinfos),
        ("listings", listings),
        ("images", images),
    ];
    let trials = kinds
        .into_iter()
        .map(|(name, samples)| {
            let corpus = corpus.clone();
            Trial::test(name, move || judge(name, samples(&corpus)))
                .with_ignored_flag(!there)
                .with_kind(if there {
                    ""
                } else {
                    "no corpus beside the repository"
                })
        })
        .collect();
    libtest_mimic::run(&args, trials).exit();
}

/// Reads the samples of one kind out of the corpus.
type Reader = fn(&Path) -> Vec<Sample>;

/// One sample with what it is, as far as its evidence can tell.
struct Sample {
    name: String,
    evidence: Evidence,
    expected: Expected,
}

/// What a sample is.
enum Expected {
    /// A release of ours: family, version by its label, architecture if the evidence holds it.
    Release {
        family: &'static str,
        version: String,
        arch: Option<Vec<Arch>>,
        /// Whether the evidence holds enough to name a release at all.
        determined: bool,
    },
    /// Something to refuse.
    Refused,
}

/// How an answer compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    /// Family, version and architecture, whole.
    Right,
    /// Right in what it says, and less precise than the label, which knows what the medium does not say.
    Imprecise,
    /// Refused, and the evidence does not hold the answer.
    RightlyRefused,
    /// Refused, though the evidence held the answer.
    Refused,
    /// Answered, and wrong.
    Wrong,
}

fn judge(kind: &str, samples: Vec<Sample>) -> Result<(), Failed> {
    let rules = RecognitionRules::embedded().map_err(|err| format!("{err:#}"))?;
    let mut score: BTreeMap<Mark, usize> = BTreeMap::new();
    let mut faults = Vec::new();
    for sample in &samples {
        let answer = identify(&sample.evidence, &rules, &RequestedRelease::default());
        let mark = mark(&sample.expected, &answer);
        *score.entry(mark).or_default() += 1;
        if matches!(mark, Mark::Refused | Mark::Wrong) || std::env::var_os("ALL").is_some() {
            faults.push(format!("{mark:?}: {}: {}", sample.name, Answer(&answer)));
        }
    }
    let count = |mark| score.get(&mark).copied().unwrap_or_default();
    let right = count(Mark::Right) + count(Mark::Imprecise) + count(Mark::RightlyRefused);
    println!(
        "{kind}: {} samples: {} right, {} right but less precise than the label, {} rightly refused, \
         {} refused, {} wrong",
        samples.len(),
        count(Mark::Right),
        count(Mark::Imprecise),
        count(Mark::RightlyRefused),
        count(Mark::Refused),
        count(Mark::Wrong),
    );
    let faults = faults.join("\n");
    println!("{faults}");
    if samples.is_empty() {
        return Err("the corpus holds no sample of this kind".into());
    }
    if count(Mark::Wrong) > 0 || right * 100 < samples.len() * 99 {
        return Err(faults.into());
    }
    Ok(())
}

fn mark(expected: &Expected, answer: &Result<MediumIdentity, Rejection>) -> Mark {
    match (expected, answer) {
        (Expected::Refused, Err(_)) => Mark::Right,
        (Expected::Refused, Ok(_)) => Mark::Wrong,
        (Expected::Release { determined, .. }, Err(_)) => {
            if *determined {
                Mark::Refused
            } else {
                Mark::RightlyRefused
            }
        }
        (
            Expected::Release {
                family,
                version,
                arch,
                ..
            },
            Ok(verdict),
        ) => {
            let found = verdict.distro.version();
            let agrees = |a: &str, b: &str| a.split('.').zip(b.split('.')).all(|(a, b)| a == b);
            let arch_agrees = match (arch, verdict.arch) {
                (Some(expected), Some(found)) => expected.contains(&found),
                (Some(_), None) => false,
                (None, _) => true,
            };
            if verdict.distro.family() != *family || !agrees(found, version) || !arch_agrees {
                Mark::Wrong
            } else if found.len() < version.len() {
                Mark::Imprecise
            } else {
                Mark::Right
            }
        }
    }
}

struct Answer<'a>(&'a Result<MediumIdentity, Rejection>);

impl fmt::Display for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Ok(verdict) => {
                let arch = verdict.arch.map_or("no architecture", Arch::name);
                write!(f, "{} {arch}", verdict.distro)
            }
            Err(refusal) => write!(f, "{}: {refusal}", refusal.kind()),
        }
    }
}

/// The lines of a table of the corpus, without its comments and head.
fn rows(path: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.starts_with('#')).skip(1);
    let cells = |line: &str| line.split('\t').map(str::to_owned).collect();
    let mut rows: Vec<Vec<String>> = lines.map(cells).collect();
    rows.iter_mut().for_each(|row| row.resize(9, String::new()));
    rows
}

fn parse_arches(text: &str) -> Option<Vec<Arch>> {
    let arches: Vec<_> = text
        .split('/')
        .filter_map(|word| word.parse().ok())
        .collect();
    (!arches.is_empty()).then_some(arches)
}

fn disk_infos(corpus: &Path) -> Vec<Sample> {
    let path = corpus.join("diskinfo.tsv");
    let text = fs::read_to_string(&path).unwrap_or_default();
    // this table's head is a comment
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let cells: Vec<_> = line.split('\t').collect();
            let family = match cells[2] {
                "debian" => Some("debian"),
                "ubuntu" | "ubuntu-flavour" => Some("ubuntu"),
                _ => None,
            };
            Sample {
                name: cells[1].to_owned(),
                evidence: Evidence::of_file(".disk/info", cells[1]),
                expected: match family {
                    None => Expected::Refused,
                    Some(family) => Expected::Release {
                        family,
                        version: cells[4].to_owned(),
                        arch: parse_arches(cells[6]),
                        determined: true,
                    },
                },
            }
        })
        .collect()
}

fn volumes(corpus: &Path) -> Vec<Sample> {
    rows(&corpus.join("volume-ids.tsv"))
        .into_iter()
        .map(|row| {
            let (family, version) = label(&row[1]);
            let ids = VolumeIds {
                volume: row[3].clone(),
                system: row[4].clone(),
                publisher: row[5].clone(),
                application: row[6].clone(),
                blocks: row[7].parse().unwrap_or_default(),
            };
            // a label without any number holds no release
            let words = format!("{} {}", ids.volume, ids.application);
            let bare = matches!(&*ids.volume, "CentOS" | "FEDORA") && !words.contains("FC");
            let unnumbered = bare
                || row[3].starts_with("openSUSE-DVD-")
                || row[3] == "Red Hat Enterprise Linux Atomic";
            Sample {
                name: format!("{} '{}'", row[2], row[3]),
                evidence: Evidence::of_volume(ids),
                expected: Expected::Release {
                    family,
                    version,
                    arch: volume_arch(&row[2], &words),
                    determined: !unnumbered,
                },
            }
        })
        .collect()
}

/// The architecture by the image's file name, where the descriptor names one too.
fn volume_arch(file: &str, words: &str) -> Option<Vec<Arch>> {
    let spellings: [(&str, &[&str]); 13] = [
        ("x86_64", &["x86_64", "amd64"]),
        ("amd64", &["x86_64", "amd64"]),
        ("aarch64", &["aarch64", "arm64"]),
        ("arm64", &["aarch64", "arm64"]),
        ("ppc64le", &["ppc64le", "ppc64", "p64el"]),
        ("ppc64el", &["ppc64el", "ppc64", "p64el"]),
        ("ppc64", &["ppc64"]),
        ("s390x", &["s390x"]),
        ("riscv64", &["riscv"]),
        ("i386", &["i386"]),
        ("i586", &["i586"]),
        ("i686", &["i686"]),
        ("armhfp", &["armhfp"]),
    ];
    let (arch, said) = spellings.iter().find(|(name, _)| file.contains(name))?;
    said.iter()
        .any(|word| words.contains(word))
        .then(|| parse_arches(arch))?
}

/// Splits the corpus's name of a system into our family and the version.
fn label(os: &str) -> (&'static str, String) {
    let table = [
        ("almalinux-kitten", "alma-kitten"),
        ("almalinux", "alma"),
        ("centos-stream", "centos-stream"),
        ("centos", "centos"),
        ("debian", "debian"),
        ("fedora-", "fedora"),
        ("fedora", "fedora"),
        ("silverblue", "fedora"),
        ("ol", "ol"),
        ("opensuse", "opensuse"),
        ("rhel-atomic-", "rhels"),
        ("rhel", "rhels"),
        ("rocky", "rocky"),
        ("scientificlinux", "SL"),
        ("sles", "sles"),
        ("sle", "sle"),
        ("ubuntu", "ubuntu"),
    ];
    let (prefix, family) = table
        .into_iter()
        .find(|(prefix, _)| os.starts_with(prefix) && os.len() > prefix.len())
        .unwrap_or(("", "unknown"));
    let version = os[prefix.len()..].replace("sp", ".");
    // CentOS 7 and 8 of the corpus stand for every point release
    let version = match (family, &*version) {
        ("centos", "7.0") => "7".to_owned(),
        _ => version,
    };
    let leap = family == "opensuse"
        && version
            .split('.')
            .next()
            .is_some_and(|major| major.parse::<u32>().is_ok_and(|major| major >= 15));
    (if leap { "leap" } else { family }, version)
}

fn files_in(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort();
    paths
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn treeinfos(corpus: &Path) -> Vec<Sample> {
    files_in(&corpus.join("treeinfo"))
        .into_iter()
        .map(|path| {
            let name = file_name(&path);
            let stem = name.trim_end_matches(".treeinfo").to_owned();
            let parts: Vec<_> = stem.split("__").collect();
            let (family, version) = label(parts[1]);
            Sample {
                evidence: Evidence::of_file(".treeinfo", fs::read(&path).unwrap_or_default()),
                expected: Expected::Release {
                    family,
                    version,
                    arch: parts.last().and_then(|arch| parse_arches(arch)),
                    determined: true,
                },
                name,
            }
        })
        .collect()
}

fn discinfos(corpus: &Path) -> Vec<Sample> {
    files_in(&corpus.join("discinfo"))
        .into_iter()
        .map(|path| {
            let name = file_name(&path);
            let bytes = fs::read(&path).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let (stem, arch) = name.rsplit_once('.').unwrap_or((&name, ""));
            let version = stem.split('-').nth(1).unwrap_or_default().to_owned();
            let described = text.lines().nth(1).unwrap_or_default().to_owned();
            Sample {
                evidence: Evidence::of_file(".discinfo", bytes),
                expected: Expected::Release {
                    family: "fedora",
                    determined: described.contains(&version),
                    version,
                    arch: parse_arches(arch),
                },
                name: format!("{name} '{described}'"),
            }
        })
        .collect()
}

fn gunzip(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let packed = fs::read(path).unwrap_or_default();
    let _ = flate2::read::MultiGzDecoder::new(&*packed).read_to_end(&mut bytes);
    bytes
}

/// What a listing's own label says, where it says more than the corpus's short one.
fn listings(corpus: &Path) -> Vec<Sample> {
    files_in(&corpus.join("listings"))
        .into_iter()
        .filter(|path| path.extension().is_some_and(|suffix| suffix == "gz"))
        .map(|path| {
            let name = file_name(&path);
            let names: Vec<String> = String::from_utf8_lossy(&gunzip(&path))
                .lines()
                .map(|line| line.trim_start_matches("./").to_owned())
                .collect();
            let beside = path.with_file_name(name.replace(".txt.gz", ".files"));
            // laid out as empty files, but for those of which the text is known
            let files = names
                .iter()
                .filter(|name| Evidence::wants(name))
                .map(|name| {
                    let text = fs::read(beside.join(name)).unwrap_or_default();
                    (name.clone(), text)
                })
                .collect();
            let (family, version) = listing_label(&name);
            let live = name.contains("Workstation-Live") || name.contains("SelfInstall");
            Sample {
                evidence: Evidence {
                    names,
                    files,
                    ..Evidence::default()
                },
                expected: Expected::Release {
                    family,
                    version,
                    arch: Some(vec![Arch::X86_64]),
                    determined: !live,
                },
                name,
            }
        })
        .collect()
}

/// Family and version by the image's file name.
fn listing_label(name: &str) -> (&'static str, String) {
    let file = name.split("__").nth(1).unwrap_or_default();
    let table = [
        ("ubuntu-", "ubuntu"),
        ("CloudLinux-DVD-x86_64-", "cloudlinux"),
        ("CloudLinux-", "cloudlinux"),
        ("Fedora-Workstation-Live-x86_64-", "fedora"),
        ("Fedora-Server-dvd-x86_64-", "fedora"),
        ("openSUSE-Leap-Micro.x86_64-", "leapmicro"),
        ("openSUSE-Leap-Micro-", "leapmicro"),
        ("openSUSE-Leap-", "leap"),
        ("AlmaLinux-", "alma"),
        ("AnolisOS-", "anolis"),
        ("Rocky-", "rocky"),
        ("SLES-", "sles"),
        ("SL-Micro.x86_64-", "slmicro"),
        ("SLE-", "sle"),
    ];
    let (prefix, family) = table
        .into_iter()
        .find(|(prefix, _)| file.starts_with(prefix))
        .unwrap_or(("", "unknown"));
    let rest = file[prefix.len()..].replace("-SP", ".");
    let number = |c: char| !c.is_ascii_digit() && c != '.';
    let version = rest.split(number).next().unwrap_or_default();
    (family, version.trim_end_matches('.').to_owned())
}

fn images(corpus: &Path) -> Vec<Sample> {
    let mut samples = Vec::new();
    for path in files_in(&corpus.join("iso")) {
        let name = file_name(&path);
        let Ok(mut image) = tempfile::NamedTempFile::new() else {
            continue;
        };
        let _ = std::io::Write::write_all(&mut image, &gunzip(&path));
        let evidence = Medium::open(image.path()).and_then(|medium| gather(&medium));
        // what cannot be opened has no evidence, and none is refused
        let evidence = evidence.unwrap_or_default();
        let release = |family, version: &str, arch| Expected::Release {
            family,
            version: version.to_owned(),
            arch,
            determined: true,
        };
        let expected = match &*name {
            "fake-f26-netinst.iso.gz" => release("fedora", "26", Some(vec![Arch::X86_64])),
            "fake-f29-live.iso.gz" => release("fedora", "29", None),
            "fake-centos65-label.iso.gz" => release("centos", "6.5", None),
            _ => Expected::Refused,
        };
        samples.push(Sample {
            name,
            evidence,
            expected,
        });
    }
    samples
}
