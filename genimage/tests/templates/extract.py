"""Takes the scripts out of an installer's file, as the installer would: extract.py FILE DIRECTORY [form]

Each is written to DIRECTORY under a name of its own. With "form", the keys or elements of a document are
listed on stdout, without what they hold. Knows a file by its name.
"""

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import yaml

path, directory = sys.argv[1:3]
name = os.path.basename(path)
with open(path) as file:
    text = file.read()


def preseed():
    """Joins lines as debian-installer does, and has the shell write what printf is given."""
    lines, joined = [], ""
    for line in text.splitlines():
        if line.startswith("#") or not line.strip():
            continue
        line = line.strip()
        if line.endswith("\\"):
            joined += line[:-1].rstrip() + " "
            continue
        lines.append(joined + line)
        joined = ""
    for line in lines:
        owner, question, kind, *value = line.split(None, 3)
        if question.endswith("_command"):
            written, _, rest = value[0].rpartition(" >/tmp/")
            assert re.fullmatch(r"([a-z-]+) && sh /tmp/\1", rest), rest
            yield rest.split()[0], subprocess.run(["sh", "-c", written], check=True, capture_output=True, text=True).stdout


def kickstart():
    for at, section in enumerate(re.findall(r"^%(?:pre|post)\b[^\n]*\n(.*?)^%end$", text, re.M | re.S)):
        yield f"section{at}", section


def autoinstall():
    document = yaml.safe_load(text)["autoinstall"]
    for kind in "early-commands", "late-commands":
        for at, command in enumerate(document[kind]):
            yield f"{kind}{at}", command


def autoyast():
    for at, source in enumerate(ElementTree.fromstring(text).iter("{http://www.suse.com/1.0/yast2ns}source")):
        yield f"script{at}", source.text


def agama():
    scripts = json.loads(text)["scripts"]
    for kind, several in scripts.items():
        for script in several:
            yield f"{kind}-{script['name']}", script["content"]


def keys(value, path):
    print(path, type(value).__name__)
    for key in value if isinstance(value, dict) else []:
        keys(value[key], f"{path}/{key}")
    for one in value if isinstance(value, list) else []:
        keys(one, f"{path}/-")


def elements(element, path):
    print(f"{path}/{element.tag}")
    for one in element:
        elements(one, f"{path}/{element.tag}")


readers = {"preseed.cfg": preseed, "ks.cfg": kickstart, "user-data": autoinstall, "autoinst.xml": autoyast, "agama.json": agama}
found = list(readers[name]())
assert found, "no script in " + path
for label, script in found:
    with open(os.path.join(directory, label), "w") as file:
        file.write(script)
if sys.argv[3:] == ["form"] and name == "autoinst.xml":
    elements(ElementTree.fromstring(text), "")
elif sys.argv[3:] == ["form"] and name in ("user-data", "agama.json"):
    keys(yaml.safe_load(text), "")
