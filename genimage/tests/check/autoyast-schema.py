#!/usr/bin/env python3
"""Writes what AutoYaST's schemas say of elements and their types as a table of shapes.

    autoyast-shapes.py DIRECTORY… > genimage/src/check/schema/autoyast.tsv

A directory holds the RELAX NG of one release, which `trang` makes of the `.rnc` files of YaST's modules
(all of them included in one). The form of the table is described in genimage/src/check/schema/table.rs; what one of
the releases takes is taken. Sections of modules whose schema is not there may say anything.
"""

import glob
import os
import sys
import xml.etree.ElementTree as ET

NS = "{http://relaxng.org/ns/structure/1.0}"
DEPTH = 9
# Sections of SLE 12 and 15, Leap 15 and older ones that are still read.
SECTIONS = """add-on audit-laf auth-client auth-server autofs bootloader ca_mgm cio_ignore classes
configuration_management dasd deploy_image dhcp-server dns-server fcoe-client files firewall firstboot
ftp-server general geo-cluster groups host http-server image inetd init iscsi-client kdump keyboard language
ldap ldap_client login_settings mail networking nfs nfs_server nis nis_server ntp-client
online_update_configuration partitioning partitioning_advanced printer proxy report runlevel samba-client
samba-server scripts security services-manager software sound squid ssh_import suse_register sysconfig
tftp-server timezone upgrade user_defaults users virtualization x11 zfcp""".split()


class Shape:
    def __init__(self):
        self.types, self.values, self.children, self.open, self.text = set(), set(), {}, False, False

    def merge(self, other):
        self.types |= other.types
        self.values |= other.values
        self.open |= other.open
        self.text |= other.text
        for name, child in other.children.items():
            self.children.setdefault(name, Shape()).merge(child)


class Grammar:
    def __init__(self, directory):
        self.defines = {}
        for path in sorted(glob.glob(os.path.join(directory, "*.rng"))):
            for define in ET.parse(path).getroot().iter(NS + "define"):
                self.defines.setdefault(define.get("name"), []).extend(define)

    def section(self, name):
        found = [
            element
            for content in self.defines.values()
            for element in content
            if element.tag == NS + "element" and element.get("name") == name
        ]
        named = [one for one in self.defines.get(name, []) if one.tag == NS + "element"]
        return named or found

    def element(self, element, depth, through):
        shape = Shape()
        self.walk(list(element), shape, depth, through)
        if not shape.types:
            if shape.children:
                shape.types.add("map")
            if shape.text or shape.values:
                shape.types.add("string")
        return shape

    def walk(self, nodes, shape, depth, through):
        for node in nodes:
            tag = node.tag.removeprefix(NS)
            if tag == "ref":
                name = node.get("name")
                if name not in through:
                    self.walk(self.defines.get(name, []), shape, depth, through | {name})
            elif tag == "attribute":
                self.attribute(node, shape)
            elif tag == "element":
                self.child(node, shape, depth, through)
            elif tag in ("text", "data"):
                shape.text = True
            elif tag == "value":
                shape.values.add((node.text or "").strip())
            elif tag not in ("empty", "notAllowed", "name"):
                self.walk(list(node), shape, depth, through)

    def attribute(self, node, shape):
        name = (node.get("name") or "").split(":")[-1]
        if name not in ("type", "t"):
            return
        kinds = [(value.text or "").strip() for value in node.iter(NS + "value")]
        shape.types |= {KINDS.get(kind, kind) for kind in kinds} or {"any"}

    def child(self, node, shape, depth, through):
        name = node.get("name") or (node.findtext(NS + "name") or "").strip()
        if not name or depth >= DEPTH:
            shape.open = True
            return
        child = self.element(node, depth + 1, through)
        shape.children.setdefault(name, Shape()).merge(child)


KINDS = {"symbol": "string", "disksize": "string"}


def write(path, shape, out):
    types = "any" if "any" in shape.types or not shape.types else "|".join(sorted(shape.types))
    wordy = shape.text or "boolean" in shape.types or "integer" in shape.types
    values = "" if wordy else "|".join(sorted(shape.values))
    out.append((path, types, "", values))
    items = shape.children.values() if "list" in shape.types else []
    if items:
        merged = Shape()
        for item in items:
            merged.merge(item)
        write(f"{path}/[]", merged, out)
    if "map" in shape.types or types == "any":
        for name, child in sorted(shape.children.items()):
            write(f"{path}/{name}", child, out)


def main():
    grammars = [Grammar(directory) for directory in sys.argv[1:]]
    out = [("", "map", "", "")]
    for section in SECTIONS:
        shape = Shape()
        for grammar in grammars:
            for element in grammar.section(section):
                shape.merge(grammar.element(element, 0, frozenset()))
        write(section, shape, out)
    for row in out:
        print("\t".join(row))


main()
