//! The script that iPXE runs on a node, as far as its kernel reads it.
//!
//! The text of the script comes in; findings go out. Reference: `COMMAND_LINE_SIZE` of Linux (2048 with the byte that
//! ends it on x86, arm64, riscv and powerpc; s390 has more), whose rest is cut off without a word.

use super::Findings;
use super::findings::FindingsBuilder;

/// The longest command line that a kernel keeps whole.
const MAX_COMMAND_LINE: usize = 2047;

/// Checks that kernels read all of their command lines.
pub(super) fn check(name: &str, text: &str) -> Findings {
    let mut findings = FindingsBuilder::of(name);
    for (at, line) in text.lines().enumerate() {
        let arguments = line
            .strip_prefix("kernel ")
            .and_then(|rest| rest.split_once(' '));
        let Some((_, arguments)) = arguments else {
            continue;
        };
        if arguments.len() > MAX_COMMAND_LINE {
            findings.problem(
                at + 1,
                format!(
                    "the kernel's command line has {} bytes, and a kernel keeps {MAX_COMMAND_LINE}: shorten addkcmdline",
                    arguments.len()
                ),
            );
        }
    }
    findings.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_that_the_kernel_would_cut_is_a_problem() {
        let longest = "a".repeat(MAX_COMMAND_LINE);
        let script =
            |arguments: &str| format!("#!ipxe\nkernel http://10.1.0.1/vmlinuz {arguments}\nboot\n");
        assert!(check("boot.ipxe", &script(&longest)).is_ok());
        assert!(check("boot.ipxe", "kernel http://10.1.0.1/vmlinuz\n").is_ok());
        let found = check("boot.ipxe", &script(&format!("{longest}b")));
        let found: Vec<_> = found.problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "boot.ipxe:2: the kernel's command line has 2048 bytes, and a kernel keeps 2047: shorten addkcmdline"
            ]
        );
    }
}
