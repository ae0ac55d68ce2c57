#!/usr/bin/env python3
"""Says of each YAML document on its input whether a JSON schema takes it.

    schema-verdicts.py SCHEMA < documents

Documents are parted by form feeds; a line `ok`, or what is wrong, comes out for each.
"""

import json
import sys

import jsonschema
import yaml


def verdict(validator, text):
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        return "no YAML: " + " ".join(str(error).split())
    error = next(validator.iter_errors(document), None)
    return " ".join(error.message.split()) if error else "ok"


with open(sys.argv[1], encoding="utf-8") as file:
    schema = json.load(file)
validator = jsonschema.validators.validator_for(schema)(schema)
for text in sys.stdin.read().split("\f"):
    print(verdict(validator, text))
