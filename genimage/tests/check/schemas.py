#!/usr/bin/env python3
"""Writes what a JSON schema says of keys, types and values as a table of shapes, a line for each key.

    shapes.py SCHEMA… > genimage/src/check/schema/NAME.tsv

Of several schemas, such as those of two releases, whatever one of them takes is taken. The form of the table is described in genimage/src/check/schema/table.rs. Where a schema leaves a choice between
several shapes, the table allows all of them: it never refuses what the schema takes.
"""

import json
import os
import sys

NAMES = {"object": "map", "array": "list"}
# Deeper than people write, and some schemas go in circles.
DEPTH = 8


class Root:
    """A schema file, and those that it refers to."""

    def __init__(self, path):
        self.path = path
        with open(path, encoding="utf-8") as file:
            self.schema = json.load(file)

    def at(self, reference):
        name, _, fragment = reference.partition("#")
        root = Root(os.path.join(os.path.dirname(self.path), os.path.basename(name))) if name else self
        target = root.schema
        for step in filter(None, fragment.split("/")):
            target = target[step]
        return target, root


def resolve(node, root):
    while isinstance(node, dict) and "$ref" in node:
        target, root = root.at(node["$ref"])
        node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
    return node, root


class Shape:
    """One key: what is allowed there."""

    def __init__(self):
        self.types, self.values, self.children, self.item = set(), set(), {}, None
        self.required, self.one, self.closed, self.any = set(), [], False, False
        self.some = False  # a string with no list of values
        self.deprecated = False


def read(node, root, depth=0):
    node, root = resolve(node, root)
    shape = Shape()
    if not isinstance(node, dict) or depth > DEPTH:
        shape.any = True
        return shape
    variants = [variant for kind in ("oneOf", "anyOf") for variant in node.get(kind, [])]
    demands = [variant["required"] for variant in variants if set(variant) <= {"type", "required"} and "required" in variant]
    own(shape, node, root, depth)
    for part in node.get("allOf", []):
        both(shape, read(part, root, depth))
    if demands and len(demands) == len(variants):
        shape.one = [demand[0] for demand in demands if len(demand) == 1]
    elif variants:
        base = bool(node.get("properties"))
        either(shape, [read(variant, root, depth) for variant in variants], base)
    if not shape.types and not shape.values:
        shape.any = True
    return shape


def own(shape, node, root, depth):
    kinds = node.get("type", [])
    shape.types = {NAMES.get(kind, kind) for kind in ([kinds] if isinstance(kinds, str) else kinds)}
    if not shape.types and "properties" in node:
        shape.types = {"map"}
    shape.deprecated = bool(node.get("deprecated"))
    words = node.get("enum", [node["const"]] if "const" in node else [])
    if node.get("minimum") is not None and node.get("minimum") == node.get("maximum"):
        words = [node["minimum"]]
    for word in words:
        kind = {bool: "boolean", int: "integer", str: "string", type(None): "null"}.get(type(word), "any")
        if not node.get("type"):
            shape.types.add(kind)
        if kind in ("string", "integer"):
            shape.values.add(str(word))
    shape.some = bool(shape.types & {"string", "integer"}) and not words
    for name, child in node.get("properties", {}).items():
        shape.children[name] = read(child, root, depth + 1)
    rest = node.get("additionalProperties", True)
    patterns = list(node.get("patternProperties", {}).values())
    if isinstance(rest, dict):
        patterns.append(rest)
    if patterns:
        shape.children["*"] = union([read(pattern, root, depth + 1) for pattern in patterns])
    shape.closed = rest is False and not patterns
    shape.required = set(node.get("required", []))
    if isinstance(node.get("items"), dict):
        shape.item = read(node["items"], root, depth + 1)


def both(shape, other):
    """What must be met as well."""
    shape.types |= other.types
    shape.children.update(other.children)
    shape.required |= other.required
    shape.item = shape.item or other.item
    shape.values |= other.values


def either(shape, variants, base):
    """What may be met instead."""
    merged = union(variants)
    shape.any |= merged.any and not shape.types
    # Types beside a choice are narrowed by it; what the choice leaves open stays as it was.
    if merged.types and not merged.any:
        shape.types = merged.types if not shape.types else shape.types & merged.types or shape.types
    if not shape.values and not merged.some:
        shape.values |= merged.values
    for name, child in merged.children.items():
        shape.children.setdefault(name, child)
    shape.item = shape.item or merged.item
    shape.closed |= merged.closed and not base
    shape.required |= merged.required


def union(shapes):
    merged = Shape()
    for shape in shapes:
        merged.types |= shape.types
        merged.any |= shape.any
        merged.some |= shape.some
        merged.values |= shape.values
        for name, child in shape.children.items():
            known = merged.children.get(name)
            merged.children[name] = union([known, child]) if known else child
        if shape.item:
            merged.item = union([merged.item, shape.item]) if merged.item else shape.item
    if merged.some:
        merged.values = set()
    merged.deprecated = all(shape.deprecated for shape in shapes)
    maps = [shape for shape in shapes if "map" in shape.types]
    if maps:
        merged.closed = all(shape.closed for shape in maps)
        merged.required = set.intersection(*(shape.required for shape in maps))
    return merged


def write(path, shape, required, out):
    types = "any" if shape.any or not shape.types else "|".join(sorted(shape.types))
    about = []
    if required:
        about.append("required")
    if shape.closed and "map" in types:
        about.append("closed")
    if shape.deprecated:
        about.append("deprecated")
    if shape.one:
        about.append("one=" + "|".join(sorted(shape.one)))
    out.append((path, types, " ".join(about), "|".join(sorted(shape.values))))
    if shape.any:
        return
    for name, child in sorted(shape.children.items()):
        write(f"{path}/{name}" if path else name, child, name in shape.required, out)
    if shape.item and not (shape.item.any and not shape.item.children):
        write(f"{path}/[]", shape.item, False, out)


def main():
    roots = [Root(path) for path in sys.argv[1:]]
    shapes = [read(root.schema, root) for root in roots]
    out = []
    write("", union(shapes) if len(shapes) > 1 else shapes[0], False, out)
    for row in out:
        print("\t".join(row))


main()
