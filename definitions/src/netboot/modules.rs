//! A kernel's modules: what `modules.dep`, `modules.alias` and `modules.builtin` say of them.
//!
//! Reference: depmod(8), modules.dep(5); a module is named by its file without `.ko` and what it is packed with, and `-`
//! and `_` are one in names (kmod's `modname_normalize`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::glob;

/// The modules of one kernel release.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModuleIndex {
    /// The path of each module below the release's directory, by its name.
    paths: BTreeMap<String, String>,
    /// The modules that each one needs, by their names.
    needs: BTreeMap<String, Vec<String>>,
    /// Patterns of device names, with the module for each, in the file's order.
    aliases: Vec<(String, String)>,
    /// What is part of the kernel itself.
    builtin: BTreeSet<String>,
}

impl ModuleIndex {
    /// The file beside the modules of an initrd that has the release of their kernel.
    pub const RELEASE: &'static str = "release";

    /// Parses the three files. A line that is none is passed over, as kmod does.
    pub fn parse(dep: &str, alias: &str, builtin: &str) -> Self {
        let mut index = Self::default();
        for (path, needs) in dep.lines().filter_map(|line| line.split_once(':')) {
            let name = name_of(path);
            let needs = needs.split_ascii_whitespace().map(name_of).collect();
            index.needs.insert(name.clone(), needs);
            index.paths.insert(name, path.trim().to_owned());
        }
        for line in alias.lines() {
            let mut words = line.split_ascii_whitespace();
            if let (Some("alias"), Some(pattern), Some(module)) =
                (words.next(), words.next(), words.next())
            {
                index.aliases.push((pattern.to_owned(), name_of(module)));
            }
        }
        index.builtin = builtin.lines().map(name_of).collect();
        index
    }

    /// Returns the path of a module below the release's directory.
    pub fn path(&self, module: &str) -> Option<&str> {
        self.paths.get(&name_of(module)).map(String::as_str)
    }

    /// Whether the kernel has it without a module.
    pub fn is_builtin(&self, module: &str) -> bool {
        self.builtin.contains(&name_of(module))
    }

    /// Returns the names of all modules with their paths.
    pub fn modules(&self) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.paths.iter();
        pairs.map(|(name, path)| (name.as_str(), path.as_str()))
    }

    /// Returns the modules for a device or a wanted thing: `pci:v00001AF4d…`, `fs-squashfs`.
    pub fn matching(&self, device: &str) -> Vec<&str> {
        let matching = self.aliases.iter();
        let mut found: Vec<_> = matching
            .filter(|(pattern, _)| glob::matches(pattern, device))
            .map(|(_, module)| module.as_str())
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Returns modules with all that they need, each after what it needs; a module that is not there is left out.
    pub fn closure<'a>(&'a self, modules: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
        let mut order = Vec::new();
        let mut seen = BTreeSet::new();
        for module in modules {
            self.visit(&name_of(module), &mut seen, &mut order);
        }
        order
    }

    /// Appends what a module needs, then the module. `seen` holds also those that are being visited: a ring, which depmod
    /// refuses to write, ends here.
    fn visit<'a>(&'a self, module: &str, seen: &mut BTreeSet<&'a str>, order: &mut Vec<&'a str>) {
        let Some((name, needs)) = self.needs.get_key_value(module) else {
            return;
        };
        if !seen.insert(name) {
            return;
        }
        // modules.dep names the whole closure, the nearest first
        for need in needs.iter().rev() {
            self.visit(need, seen, order);
        }
        order.push(name);
    }

    /// Returns the index of some of the modules, whose files are all in one directory, not packed.
    #[must_use]
    pub fn subset(&self, modules: &BTreeSet<&str>) -> Self {
        let kept = |name: &str| modules.contains(name);
        Self {
            paths: modules
                .iter()
                .map(|name| ((*name).to_owned(), format!("{name}.ko")))
                .collect(),
            needs: self
                .needs
                .iter()
                .filter(|(name, _)| kept(name))
                .map(|(name, needs)| (name.clone(), needs.clone()))
                .collect(),
            aliases: self
                .aliases
                .iter()
                .filter(|(_, module)| kept(module))
                .cloned()
                .collect(),
            builtin: self.builtin.clone(),
        }
    }

    /// Renders `modules.dep`.
    pub fn render_dep(&self) -> String {
        let mut text = String::new();
        for (name, path) in &self.paths {
            let _ = write!(text, "{path}:");
            for need in self.needs.get(name).into_iter().flatten() {
                let path = self.path(need).unwrap_or(need);
                let _ = write!(text, " {path}");
            }
            text.push('\n');
        }
        text
    }

    /// Renders `modules.alias`.
    pub fn render_alias(&self) -> String {
        let lines = self.aliases.iter();
        lines
            .map(|(pattern, module)| format!("alias {pattern} {module}\n"))
            .collect()
    }

    /// Renders `modules.builtin`.
    pub fn render_builtin(&self) -> String {
        let lines = self.builtin.iter();
        lines.map(|module| format!("{module}.ko\n")).collect()
    }
}

/// Returns the name of a module by its name or path.
fn name_of(path: &str) -> String {
    let file = path.trim().rsplit('/').next().unwrap_or_default();
    let name = file.split_once(".ko").map_or(file, |(name, _)| name);
    name.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> ModuleIndex {
        ModuleIndex::parse(
            "kernel/net/core/failover.ko.xz:\n\
             kernel/drivers/net/net_failover.ko.xz: kernel/net/core/failover.ko.xz\n\
             kernel/drivers/net/virtio_net.ko.xz: kernel/drivers/net/net_failover.ko.xz kernel/net/core/failover.ko.xz\n\
             kernel/fs/overlayfs/overlay.ko.xz:\n\
             kernel/drivers/a-b.ko: kernel/drivers/c.ko\n\
             kernel/drivers/c.ko: kernel/drivers/a-b.ko\n",
            "# Aliases extracted from modules themselves.\n\
             alias virtio:d00000001v* virtio_net\n\
             alias fs-overlay overlay\n\
             alias pci:v000010ECd*sv*sd*bc02sc00i* a-b\n",
            "kernel/drivers/nvme/host/nvme-core.ko\n",
        )
    }

    #[test]
    fn modules_come_after_what_they_need() {
        let index = index();
        assert_eq!(
            index.closure(["virtio-net", "overlay", "not_there", "net_failover"]),
            ["failover", "net_failover", "virtio_net", "overlay"]
        );
        assert_eq!(index.closure(["a_b"]), ["c", "a_b"]);
        assert_eq!(index.path("a-b"), Some("kernel/drivers/a-b.ko"));
        assert!(index.is_builtin("nvme_core") && !index.is_builtin("overlay"));
    }

    #[test]
    fn devices_have_their_modules() {
        let index = index();
        for (device, modules) in [
            ("virtio:d00000001v00001AF4", &["virtio_net"][..]),
            ("fs-overlay", &["overlay"]),
            (
                "pci:v000010ECd00008168sv00001043sd00008677bc02sc00i00",
                &["a_b"],
            ),
            ("pci:v000010ECd00008168sv00001043sd00008677bc01sc00i00", &[]),
        ] {
            assert_eq!(index.matching(device), modules, "{device}");
        }
    }

    #[test]
    fn a_subset_reads_as_it_was_written() {
        let index = index();
        let modules = index.closure(["virtio_net"]).into_iter().collect();
        let subset = index.subset(&modules);
        assert_eq!(
            subset.render_dep(),
            "failover.ko:\nnet_failover.ko: failover.ko\nvirtio_net.ko: net_failover.ko failover.ko\n"
        );
        assert_eq!(
            subset.render_alias(),
            "alias virtio:d00000001v* virtio_net\n"
        );
        let again = ModuleIndex::parse(
            &subset.render_dep(),
            &subset.render_alias(),
            &subset.render_builtin(),
        );
        assert_eq!(again, subset);
        assert_eq!(again.closure(["virtio_net"]), index.closure(["virtio_net"]));
    }
}
