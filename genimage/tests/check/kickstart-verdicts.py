#!/usr/bin/env python3
"""Says of each kickstart file on its input whether pykickstart takes it for a release.

    kickstart-verdicts.py RHEL9 < files

Files are parted by form feeds; a line `ok`, or what is wrong, comes out for each.
"""

import sys
import warnings

from pykickstart.parser import KickstartParser
from pykickstart.version import makeVersion


def verdict(handler, text):
    parser = KickstartParser(handler, followIncludes=False)
    try:
        parser.readKickstartFromString(text)
    except Exception as error:  # what ksvalidator shows, of whatever kind it is
        return " ".join(str(error).split()) or type(error).__name__
    finally:
        # A new handler for each file would take minutes.
        said = {id(command): command for command in handler.commands.values() if command.seen}
        for command in said.values():
            names = [name for name, same in handler.commands.items() if same is command]
            handler.resetCommand(names[0])
            handler.commands.update({name: handler.commands[names[0]] for name in names})
    return "ok"


warnings.simplefilter("ignore")
handler = makeVersion(sys.argv[1])
for text in sys.stdin.read().split("\f"):
    print(verdict(handler, text))
