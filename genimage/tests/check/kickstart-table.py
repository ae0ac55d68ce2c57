#!/usr/bin/env python3
"""Writes the table of kickstart commands that the installed pykickstart knows.

    kickstart-table.py > genimage/src/check/kickstart.tsv

What each release's command takes is found by asking: its options are listed, and then commands are tried
with and without each. Only these facts are written; the form of the table is described in
genimage/src/check/kickstart/table.rs.
"""

import functools
import sys
import warnings
from itertools import combinations

from pykickstart.base import DeprecatedCommand, RemovedCommand
from pykickstart.errors import KickstartError
from pykickstart.parser import KickstartParser
from pykickstart.version import makeVersion, versionMap

RELEASES = {
    "el": [number for number in range(7, 99) if f"RHEL{number}" in versionMap],
    "fedora": [number for number in range(20, 999) if f"F{number}" in versionMap],
}
SCRIPTS = ["%pre", "%pre-install", "%post", "%onerror", "%traceback"]
# Sections whose bodies pykickstart does not read.
OPAQUE = ["%addon", "%anaconda"]

# Words that options may choose between, where the parser does not list them.
CANDIDATES = {
    ("autopart", "--type"): "lvm btrfs plain thinp partition standard".split(),
    ("raid", "--level"): "0 1 4 5 6 10 linear RAID0 RAID1 RAID4 RAID5 RAID6 RAID10 RAID1E".split(),
    ("snapshot", "--when"): "pre-install post-install".split(),
    ("nvdimm", "--mode"): "sector raw memory dax".split(),
}
# What a parser lists and its command refuses always.
REFUSED = {("cmdline", "--non-interactive")}
# What makes a line complete where a command demands more than options that are marked as required.
COMPLETE = {
    "autopart": [[]],
    "driverdisk": [[], ["x"]],
    "eula": [["--agreed"]],
    "ignoredisk": [["--drives=x"]],
    "logvol": [["/x", "--size=1"]],
    "mount": [["/dev/x", "/x"]],
    "nvdimm": [["use", "--blockdevs=x"], ["reconfigure", "--namespace=x", "--mode=sector"]],
    "ostreesetup": [["--url=http://x"]],
    "raid": [["/x", "--device=md0", "--level=1", "raid.1", "raid.2"], ["/x", "--device=0", "--level=1", "raid.1"]],
    "realm": [["join", "x"]],
    "snapshot": [["vg/lv", "--when=post-install"]],
    "volgroup": [["vg", "pv.1"]],
}


def takes(release, command, action):
    """What an option takes, in the words of the table."""
    kind = getattr(action.type, "__name__", None)
    if action.nargs == 0:
        return "flag"
    if action.choices:
        return "|".join(map(str, action.choices))
    if kind == "int":
        return "int"
    if kind == "ksboolean":
        return "bool"
    return "optional" if action.nargs == "?" else "value"


def value(what):
    return {"int": "1", "bool": "on", "value": "x", "optional": "x"}.get(what, what.split("|")[0])


def written(name, what):
    return name if what == "flag" else f"{name}={value(what)}"


class Command:
    """What one release says of one command."""

    def __init__(self, release, name, handler):
        self.release, self.name, self.handler = release, name, handler
        self.object = handler.commands[name]
        self.deprecated = isinstance(self.object, DeprecatedCommand)
        parser = getattr(self.object, "op", None)
        self.actions = [] if self.deprecated or not parser else parser._actions
        self.options = {}
        for action in self.actions:
            for option in action.option_strings:
                if (name, option) not in REFUSED:
                    self.options[option] = (takes(release, name, action), action)
        self.opaque = not self.deprecated and not parser

    def required(self):
        actions = [one for one in self.actions if one.required and one.option_strings]
        return [written(one.option_strings[0], takes(self.release, self.name, one)) for one in actions]

    @functools.cache
    def complete(self):
        """A line that is taken, as short as possible; None when none was found."""
        required = self.required()
        tries = COMPLETE.get(self.name, []) + [[]] + [["x"] * count for count in range(1, 4)]
        for extra in tries:
            given = {word.split("=")[0] for word in extra}
            line = [word for word in required if word.split("=")[0] not in given] + extra
            if self.taken(line):
                return line
        for option, (what, _) in sorted(self.options.items()):
            if self.taken(required + [written(option, what)]):
                return required + [written(option, what)]
        return None

    def taken(self, words):
        return self.taken_once(tuple(words))

    @functools.cache
    def taken_once(self, words):
        """Whether the release takes a line; the command forgets what was said before."""
        command = type(self.object)()
        command.handler, command.currentCmd, command.lineno = self.handler, self.name, 1
        try:
            command.parse(list(words))
        except (KickstartError, ValueError, IndexError, AttributeError, TypeError):
            return False
        return True

    @functools.cache
    def positional(self):
        """How many words that are no options it takes: at least, at most (`*`: any)."""
        if self.deprecated:
            return "0-*"
        line = self.complete()
        if line is None:
            return "0-*"
        options = [word for word in line if word.startswith("-")]
        words = [word for word in line if not word.startswith("-")]
        fewest = next((n for n in range(len(words) + 1) if self.taken(options + words[:n])), len(words))
        # An option may replace the last word: `rootpw --lock`.
        if fewest and any(
            self.taken(options + words[: fewest - 1] + [written(option, what)])
            for option, (what, _) in self.options.items()
        ):
            fewest -= 1
        most = len(words)
        for more in range(1, 5):
            if self.taken(options + words + ["x%d" % n for n in range(more)]):
                most = len(words) + more
        return f"{fewest}-{'*' if most >= 4 else most}"

    @functools.cache
    def needs(self):
        """Options of which one must be said when there is no word; and whether only one may be."""
        if self.deprecated or self.opaque:
            return []
        line = self.complete()
        if line is None:
            return []
        least = int(self.positional().split("-")[0])
        words = [word for word in line if not word.startswith("-")][:least]
        required = self.required()
        if self.taken(required + words):
            return []
        alone = [
            option
            for option, (what, _) in sorted(self.options.items())
            if self.taken(required + words + [written(option, what)])
        ]
        if not alone:
            return []
        found = ["needs=" + "|".join(alone)]
        clashes = [
            f"{one}+{other}"
            for one, other in combinations(alone, 2)
            if not self.taken(
                required + words + [written(one, self.options[one][0]), written(other, self.options[other][0])]
            )
        ]
        if clashes:
            found.append("apart=" + "|".join(clashes))
        return found

    def choices(self, option, what):
        candidates = CANDIDATES.get((self.name, option))
        if not candidates:
            return what
        line = self.complete()
        rest = [word for word in line if word.split("=")[0] != option]
        good = [word for word in candidates if self.taken(rest + [f"{option}={word}"])]
        if not good or self.taken(rest + [f"{option}=unlikely"]):
            return what
        folded = self.taken(rest + [f"{option}={good[-1].swapcase()}"])
        return ("~" if folded else "") + "|".join(good)

    def partners(self, option, what):
        """Options of which one has to be given with this one."""
        line = self.complete()
        rest = [word for word in line if word.split("=")[0] != option]
        mine = written(option, what)
        if self.taken(rest + [mine]) or mine in line:
            return []
        helps = [
            other
            for other, (kind, action) in sorted(self.options.items())
            if action is not self.options[option][1] and self.taken(rest + [mine, written(other, kind)])
        ]
        return ["with=" + "|".join(helps)] if helps else []

    def row(self):
        words = []
        if not self.deprecated:
            words += ["single"] if self.object.dataList() is None else []
            conflicts = [one for one in self.object.conflictingCommands if one in self.handler.commands]
            words += ["conflicts=" + "|".join(sorted(conflicts))] if conflicts else []
            words += self.needs()
            words += ["opaque"] if self.opaque else []
        return (self.name, "", self.positional(), " ".join(words))

    def option_rows(self):
        complete = self.complete() if self.options else None
        for option, (what, action) in self.options.items():
            words = []
            if action.required:
                words.append("required=" + action.option_strings[0])
            if complete is not None:
                words += self.partners(option, what)
                what = self.choices(option, what)
            yield (self.name, option, what, " ".join(words)), bool(action.deprecated)


def section_rows(release, name, section):
    yield (name, "", "0-0", ""), False
    for action in section._getParser()._actions:
        for option in action.option_strings:
            words = "required=" + action.option_strings[0] if action.required else ""
            yield (name, option, takes(release, name, action), words), bool(action.deprecated)


def ranges(numbers):
    """7,8,9,11 -> 7-9,11"""
    found = []
    for number in sorted(numbers):
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ",".join(f"{low}-{high}" if low != high else str(low) for low, high in found)


def main():
    warnings.simplefilter("ignore")
    rows = {}

    def add(row, family, number, deprecated):
        rows.setdefault((row, deprecated), {}).setdefault(family, []).append(number)

    for family, numbers in RELEASES.items():
        for number in numbers:
            release = ("RHEL" if family == "el" else "F") + str(number)
            handler = makeVersion(release)
            for name, command in handler.commands.items():
                # `method` means whichever of `url`, `nfs` … is there; nobody writes it.
                if isinstance(command, RemovedCommand) or name == "method":
                    continue
                found = Command(release, name, handler)
                add(found.row(), family, number, found.deprecated)
                for row, deprecated in found.option_rows():
                    add(row, family, number, deprecated)
            sections = KickstartParser(handler)._sections
            for name, section in sections.items():
                if name in OPAQUE:
                    add((name, "", "0-*", "opaque"), family, number, False)
                else:
                    for row, deprecated in section_rows(release, name, section):
                        add(row, family, number, deprecated)
            print(release, file=sys.stderr)
    for (row, deprecated), where in sorted(rows.items()):
        name, option, what, words = row
        words = " ".join(filter(None, [words, "deprecated" if deprecated else ""]))
        print("\t".join([name, option, what, words, ranges(where.get("el", [])), ranges(where.get("fedora", []))]))


main()
