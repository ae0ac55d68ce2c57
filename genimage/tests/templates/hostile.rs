//! Values that try to leave their place: quotes, `$`, backquotes, ends of sections. Each is given to one
//! field at a time; what comes out has the form that it has with a harmless value, and the scripts in it
//! hold the value as one quoted word, or it is refused with a sentence.

use std::fs;
use std::process::Command;

use genimage::context::TemplateContext;
use genimage::installer::InstallerKind;
use genimage::template::RenderValues;

use crate::Case;
use crate::needs::{Need, python, workspace};
use crate::releases::{Extent, RELEASES, Release, built_in, template};

/// What is tried, and what a harmless value is.
const HOSTILE: [&str; 4] = [
    "x'\"$(:>/tmp/canary)`:>/tmp/canary`<&]]>;#y",
    "%end",
    "x\n%end\nd-i x/y string z",
    "\\",
];
const HARMLESS: &str = "harmless";

/// A case for each release.
pub(crate) fn cases() -> Vec<Case> {
    // One of each installer, and of each form of a script in it.
    let tried = [
        "debian13.1.0",
        "ubuntu18.04.6",
        "ubuntu24.04.3",
        "rocky9.6",
        "sle15.7",
        "sle16.0",
    ];
    let releases = RELEASES.iter().filter(|one| tried.contains(&one.osvers));
    releases
        .map(|release| {
            let name = format!("no_value_leaves_its_place_in_{}", release.osvers);
            Case::new(name, &[Need::Python("python3")], move || hold(release))
        })
        .collect()
}

/// Sets a field that is free text.
type Setter = fn(&mut TemplateContext, String);

const FIELDS: [(&str, Setter); 18] = [
    ("node.name", |c, v| c.node.name = v),
    ("node.hostname", |c, v| c.node.hostname = v),
    ("node.domain", |c, v| c.node.domain = Some(v)),
    ("image.name", |c, v| c.image.name = v),
    ("server.timeservers", |c, v| c.server.timeservers = vec![v]),
    ("server.mirror", |c, v| c.server.mirror = Some(v)),
    ("packages.install", |c, v| c.packages.install = vec![v]),
    ("packages.groups", |c, v| c.packages.groups = vec![v]),
    ("packages.exclude", |c, v| c.packages.exclude = vec![v]),
    ("extras.uri", |c, v| c.extras[0].uri = v),
    ("extras.suite", |c, v| c.extras[0].suite = Some(v)),
    ("extras.components", |c, v| c.extras[0].components = vec![v]),
    ("disk.device", |c, v| c.disk.device = Some(v)),
    ("root.password", |c, v| c.root.password = Some(v)),
    ("root.keys", |c, v| c.root.keys = vec![v]),
    ("locale.timezone", |c, v| c.locale.timezone = v),
    ("kernel.installed", |c, v| c.kernel.installed = vec![v]),
    ("firstboot.url", |c, v| {
        c.firstboot.as_mut().unwrap().url = v
    }),
];

fn hold(release: &Release) {
    let mut refused = 0;
    for (field, set) in FIELDS {
        let context = |value: &str| {
            let mut context = release.context("dockerhost", Extent::Full);
            set(&mut context, value.to_owned());
            context
        };
        let harmless = main(release, &context(HARMLESS)).unwrap();
        let expected = schema(release, &harmless);
        for hostile in HOSTILE {
            let what = format!("{}: {field} = {hostile:?}", release.osvers);
            match main(release, &context(hostile)) {
                Ok(text) if text == harmless => break, // this installer does not ask for the field
                Ok(text) => {
                    let seen = schema(release, &text);
                    assert_eq!(seen.form, expected.form, "{what}\n{text}");
                    assert_eq!(seen.scripts.len(), expected.scripts.len(), "{what}");
                    for script in &seen.scripts {
                        quoted(&what, script, hostile);
                    }
                }
                Err(message) => {
                    assert!(message.contains("does not fit here"), "{what}: {message}");
                    refused += 1;
                }
            }
        }
    }
    assert!(
        refused > 0,
        "{}: a value of two lines fits nowhere",
        release.osvers
    );
}

fn main(release: &Release, context: &TemplateContext) -> Result<String, String> {
    let name = template(release, "dockerhost", release.installer.files()[0].ending);
    let values = RenderValues::of(context).unwrap();
    built_in()
        .render(&name, &values)
        .map_err(|problem| problem.to_string())
}

/// Takes the value out of a script, quoted as shells want it; nothing of it may be left.
fn quoted(what: &str, script: &str, hostile: &str) {
    let word = format!("'{}'", hostile.replace('\'', r"'\''"));
    let again = format!("'{}'", word.replace('\'', r"'\''"));
    let rest = script.replace(&again, "").replace(&word, "");
    if hostile.contains("canary") {
        // Within a longer word, such as a line of a file: its quote is opened before and closed behind.
        let inner = hostile.replace('\'', r"'\''");
        let rest = rest
            .replace(&inner, "")
            .replace(&inner.replace('\'', r"'\''"), "");
        assert!(!rest.contains("canary"), "{what}\n{script}");
        let mut shell = Command::new("sh");
        let parsed = shell.args(["-n", "-c", script]).output().unwrap();
        assert!(parsed.status.success(), "{what}: {parsed:?}\n{script}");
    }
    let parsed = Command::new("sh")
        .args(["-n", "-c", script])
        .output()
        .unwrap();
    assert!(parsed.status.success(), "{what}: {parsed:?}\n{script}");
}

/// What a reader sees of a file: its structure without values, and its scripts.
struct Shape {
    form: Vec<String>,
    scripts: Vec<String>,
}

fn schema(release: &Release, text: &str) -> Shape {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(release.installer.files()[0].name);
    let scripts = directory.path().join("scripts");
    fs::create_dir(&scripts).unwrap();
    fs::write(&file, text).unwrap();
    let mut command = Command::new(python("python3"));
    command
        .arg(workspace("genimage/tests/templates/extract.py"))
        .arg(&file)
        .arg(&scripts)
        .arg("form");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}\n{text}");
    let mut names: Vec<_> = fs::read_dir(&scripts)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    names.sort();
    let form = match release.installer {
        InstallerKind::Preseed => questions(text),
        InstallerKind::Kickstart => commands(text),
        InstallerKind::Autoinstall
        | InstallerKind::Autoyast
        | InstallerKind::Agama
        | InstallerKind::Netboot => {
            let listed = String::from_utf8(output.stdout).unwrap();
            listed.lines().map(str::to_owned).collect()
        }
    };
    Shape {
        form,
        scripts: names
            .iter()
            .map(|name| fs::read_to_string(name).unwrap())
            .collect(),
    }
}

/// Lists the questions that a preseed file answers.
fn questions(text: &str) -> Vec<String> {
    let mut goes_on = false;
    let answers = text.lines().filter(|line| {
        let first = !goes_on && !line.starts_with('#');
        goes_on = line.ends_with('\\');
        first
    });
    answers
        .map(|line| {
            line.split_whitespace()
                .take(3)
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect()
}

/// Lists a kickstart file's commands, how its sections begin and end, and how long its list is.
fn commands(text: &str) -> Vec<String> {
    let mut section = String::new();
    let mut seen = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let first = line.split_whitespace().next().unwrap_or_default();
        match section.as_str() {
            "" => seen.push(first.to_owned()),
            "%packages" => seen.push(
                first
                    .chars()
                    .take(1)
                    .filter(|c| "%@-".contains(*c))
                    .collect(),
            ),
            _ if first == "%end" => seen.push(first.to_owned()),
            _ => {}
        }
        match first {
            "%end" => section.clear(),
            "%packages" | "%pre" | "%post" => section = first.to_owned(),
            _ => {}
        }
    }
    seen
}
