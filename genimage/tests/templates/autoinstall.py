"""Holds an autoinstall file against subiquity's own schema: autoinstall.py SCHEMA FILE [USER-DATA]

Writes what it hands to cloud-init on the first boot to USER-DATA, for cloud-init's own check. Says what
is wrong on stdout, a line each, and exits with 1; exits with 0 in silence.
"""

import json
import sys

import jsonschema
import yaml

with open(sys.argv[1]) as file:
    schema = json.load(file)
with open(sys.argv[2]) as file:
    document = yaml.safe_load(file)
document = document.get("autoinstall", document)
wrong = sorted(jsonschema.Draft7Validator(schema).iter_errors(document), key=str)
for error in wrong:
    print("/".join(map(str, error.absolute_path)) + ": " + error.message)
if len(sys.argv) > 3:
    with open(sys.argv[3], "w") as file:
        file.write("#cloud-config\n" + yaml.safe_dump(document.get("user-data", {})))
sys.exit(1 if wrong else 0)
