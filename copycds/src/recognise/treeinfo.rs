//! What `.treeinfo` says of the product and its variants.
//!
//! The text of the file comes in, its statements go out. Reference: productmd's treeinfo format, 0.x to 1.2.

use super::finding::{DiscNumber, clean};
use super::statements::{ReleaseStatement, StatementKind, arch_word_of};

/// productmd's file: `[general]` on every one, `[release]` or `[product]` and `[tree]` on newer ones.
/// Each section names the product and the architecture in its own way, and none may be another's.
pub(super) fn statements(path: &str, text: &str) -> Vec<ReleaseStatement> {
    let text = &unfolded(text);
    let get = |section: &str, key: &str| ini(text, section, key).filter(|value| !value.is_empty());
    let number = |section: &str, key: &str| get(section, key)?.parse::<u32>().ok();
    let disc = |key: &str| number("media", key).or_else(|| number("general", key));
    let mut words: Vec<&str> = ["general", "tree"]
        .into_iter()
        .flat_map(|section| ini_all(text, section, "arch"))
        .filter(|word| !word.is_empty())
        .collect();
    words.dedup();
    let (arches, other_arch) = arch_word_of(words.first().copied());
    let base = ReleaseStatement {
        arches,
        other_arch,
        variant: get("general", "variant").map(clean),
        disc: disc("discnum").map(|number| DiscNumber {
            number,
            of: disc("totaldiscs"),
        }),
        ..ReleaseStatement::in_file(path, "", StatementKind::Product)
    };
    let mut texts = products(text);
    if texts.is_empty() {
        texts.push(String::new());
    }
    let of = |text| ReleaseStatement {
        text,
        ..base.clone()
    };
    texts.extend(repeated(text));
    texts.extend(short_names(text));
    texts.extend(layered_product(text));
    let variants = variants_of_tree(text, &texts);
    let mut all: Vec<ReleaseStatement> = texts.into_iter().map(of).collect();
    all.extend(variants.map(|(text, alternatives)| ReleaseStatement {
        alternatives,
        ..of(text)
    }));
    all.extend(words.iter().skip(1).map(|word| {
        let (arches, other_arch) = arch_word_of(Some(word));
        ReleaseStatement {
            arches,
            other_arch,
            ..ReleaseStatement::in_file(path, "", StatementKind::Product)
        }
    }));
    all
}

/// What the sections of `.treeinfo` call the product, each longer than what was said before.
fn products(text: &str) -> Vec<String> {
    let get = |section: &str, key: &str| ini(text, section, key).filter(|value| !value.is_empty());
    let version = ["general", "release", "product"]
        .iter()
        .find_map(|section| get(section, "version"));
    let named = |section: &str, key: &str| {
        let version = get(section, "version").or(version).unwrap_or_default();
        Some(format!("{} {version}", get(section, key)?))
    };
    let variant = get("general", "variant").unwrap_or_default();
    let names = [
        named("general", "family").map(|name| format!("{name} {variant}")),
        named("release", "name"),
        named("product", "name"),
        get("general", "name").map(str::to_owned),
    ];
    let mut texts: Vec<String> = Vec::new();
    for name in names.into_iter().flatten() {
        let name = name.trim().to_owned();
        if !texts.iter().any(|text| text.starts_with(&name)) {
            texts.push(name);
        }
    }
    texts
}

/// The product of a medium that is installed on top of another one: productmd gives it `is_layered` and a section
/// for the product below.
fn layered_product(text: &str) -> Option<String> {
    let get = |section: &str, key: &str| ini(text, section, key).filter(|value| !value.is_empty());
    let flag = |section: &str| {
        get(section, "is_layered")
            .unwrap_or_default()
            .to_lowercase()
    };
    let is_set = |section: &str| matches!(&*flag(section), "true" | "yes" | "on" | "1");
    let product = |section: &str| {
        let words = [get(section, "name"), get(section, "version")];
        let words: Vec<&str> = words.into_iter().flatten().collect();
        (!words.is_empty()).then(|| words.join(" "))
    };
    let base = product("base_product");
    if base.is_none() && !is_set("release") && !is_set("product") {
        return None;
    }
    let own = product("release").or_else(|| product("product"));
    Some(format!(
        "{}, a layered product on {}",
        own.as_deref().unwrap_or("a product without a name"),
        base.as_deref().unwrap_or("a product that is not named"),
    ))
}

/// The variants of a tree after its product, all in one text, and the product with each of them: one that is a
/// release is enough, because the trees of a release have its other variants and add-ons beside it. Nothing if a
/// text that is read anyway has one of them.
fn variants_of_tree(text: &str, texts: &[String]) -> Option<(String, Vec<String>)> {
    let get = |section: &str, key: &str| ini(text, section, key).filter(|value| !value.is_empty());
    let listed = get("tree", "variants").or_else(|| get("general", "variants"))?;
    let names = [
        ("release", "name"),
        ("product", "name"),
        ("general", "family"),
    ];
    let (section, name) = names
        .into_iter()
        .find_map(|(section, key)| Some((section, get(section, key)?)))?;
    let version = get(section, "version").or_else(|| get("general", "version"))?;
    let variants = listed
        .split([',', ' '])
        .filter(|variant| !variant.is_empty());
    let alternatives: Vec<String> = variants
        .map(|variant| format!("{name} {version} {variant}"))
        .collect();
    if alternatives.is_empty() || alternatives.iter().any(|one| texts.contains(one)) {
        return None;
    }
    Some((format!("{name} {version} {listed}"), alternatives))
}

/// Joins each line that is further in than the key before it to that key's value, as Python's `configparser` does.
fn unfolded(text: &str) -> String {
    let mut whole = String::with_capacity(text.len());
    let mut key_indent = None;
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let is_text = !line.trim().is_empty();
        if is_text && key_indent.is_some_and(|key| indent > key) {
            whole.push(' ');
            whole.push_str(line.trim());
            continue;
        }
        if is_text {
            key_indent = line.contains(['=', ':']).then_some(indent);
        }
        whole.push('\n');
        whole.push_str(line);
    }
    whole
}

/// What a section of `.treeinfo` says again, in other words, of the product: a reader of the first alone would pass
/// over what a reader of the last one uses.
fn repeated(text: &str) -> Vec<String> {
    let keys = [
        ("general", "family"),
        ("general", "name"),
        ("release", "name"),
        ("product", "name"),
    ];
    let again = keys.into_iter().flat_map(|(section, key)| {
        let mut all = ini_all(text, section, key);
        let first = all.next();
        all.filter(move |value| Some(*value) != first)
    });
    let versions = [
        ("general", "family"),
        ("release", "name"),
        ("product", "name"),
    ];
    let other_versions = versions.into_iter().flat_map(|(section, name)| {
        let name = ini(text, section, name).unwrap_or_default();
        let mut all = ini_all(text, section, "version");
        let first = all.next();
        all.filter(move |version| Some(*version) != first)
            .map(move |version| format!("{name} {version}").trim().to_owned())
    });
    again.map(str::to_owned).chain(other_versions).collect()
}

/// The short names that are no abbreviation of the name beside them: another product's.
fn short_names(text: &str) -> Vec<String> {
    let get = |section: &str, key: &str| ini(text, section, key).filter(|value| !value.is_empty());
    let version = |section: &str| get(section, "version").or_else(|| get("general", "version"));
    let name = |section: &str| get(section, "name").or_else(|| get("general", "family"));
    let of = |section: &'static str| {
        let name = name(section).unwrap_or_default();
        let version = version(section).unwrap_or_default();
        let shorts = ini_all(text, section, "short").filter(|short| !short.is_empty());
        shorts
            .filter(move |short| !is_abbreviation(short, name))
            .map(move |short| format!("{short} {version}").trim().to_owned())
    };
    ["general", "release", "product"]
        .into_iter()
        .flat_map(of)
        .collect()
}

/// Whether a short name is the initials of a name (`RHEL`), or a part of it (`CentOS`).
fn is_abbreviation(short: &str, name: &str) -> bool {
    let letters = |text: &str| -> String {
        let plain = text.chars().filter(char::is_ascii_alphanumeric);
        plain.map(|c| c.to_ascii_lowercase()).collect()
    };
    let initials: String = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter_map(|word| word.chars().next())
        .collect();
    let short = letters(short);
    !short.is_empty() && (letters(name).contains(&short) || letters(&initials).starts_with(&short))
}

/// Looks a key up in one section of an INI file, in any case, as Python's `configparser` does.
fn ini<'a>(text: &'a str, section: &str, key: &str) -> Option<&'a str> {
    ini_all(text, section, key).next()
}

/// Lists every value that a section has for a key, in order.
fn ini_all<'a>(text: &'a str, section: &str, key: &str) -> impl Iterator<Item = &'a str> {
    let mut here = false;
    text.lines().map(str::trim).filter_map(move |line| {
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            here = name.trim().eq_ignore_ascii_case(section);
            return None;
        }
        let (found, value) = line
            .split_once(['=', ':'])
            .filter(|_| here && !line.starts_with([';', '#']))?;
        found.trim().eq_ignore_ascii_case(key).then(|| value.trim())
    })
}
