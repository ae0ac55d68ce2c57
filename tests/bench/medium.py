"""The two media that are measured.

Each is the Debian medium of tests/media/debian-iso with 5,200 further packages of random bytes in its
pool: some 1.3 GB in 5,600 files, two thirds of them random, sized as packages are (many small, few
large). On `sha256` every package stands in Packages under its SHA-256, and everything else in
sha256sum.txt; on `md5` nothing is stronger than MD5. Built once, kept below target/media/.
"""

import hashlib
import math
import os
import random
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
LAYOUT = HERE.parent / "media" / "layout.sh"
FILLERS = 5200


def layout(function, *args):
    """Runs a function of layout.sh."""
    script = f'set -euo pipefail; . "{LAYOUT}"; "$@"'
    subprocess.run(["bash", "-c", script, "bench", function, *map(str, args)], check=True)


def build():
    """Returns the images by name."""
    base = Path(subprocess.check_output([HERE.parent / "media" / "debian-iso"], text=True).strip())
    inputs = Path(__file__).read_bytes() + LAYOUT.read_bytes() + str(base).encode()
    media = base.parent.parent
    final = media / f"bench-{hashlib.sha256(inputs).hexdigest()[:12]}"
    if not final.exists():
        print("bench: building two media of 1.3 GB", flush=True)
        for old in media.glob("bench-*"):
            shutil.rmtree(old)
        with tempfile.TemporaryDirectory(dir=media, prefix=".building.") as work:
            out = Path(work) / "out"
            out.mkdir()
            write(base, Path(work) / "tree", out)
            out.rename(final)
    return {name: final / f"{name}.iso" for name in ("sha256", "md5")}


def write(base, tree, out):
    tree.mkdir()
    subprocess.run(["bsdtar", "-C", tree, "-xf", base], check=True)
    subprocess.run(["chmod", "-R", "u+w", tree], check=True)
    for signature in tree.rglob("*.gpg"):
        signature.unlink()  # of what is written anew
    (dists,) = [path.parent for path in tree.glob("dists/*/Release") if not path.parent.is_symlink()]
    release = dict(re.findall(r"^(\w+): (.*)$", (dists / "Release").read_text(), re.M))
    indexes = list(dists.glob("main/**/Packages.gz"))
    subprocess.run(["gunzip", *indexes], check=True)
    with open(dists / "main/binary-amd64/Packages", "a", encoding="utf-8") as packages:
        packages.writelines(fillers(tree))

    for name in ("sha256", "md5"):
        if name == "md5":
            for index in indexes:
                index = index.with_suffix("")
                index.write_text(re.sub(r"^SHA\d+: .*\n", "", index.read_text(), flags=re.M))
        kept = {index.with_suffix(""): index.with_suffix("").read_bytes() for index in indexes}
        for index in indexes:
            layout("lay_component", index.parent, release["Suite"], release["Version"])
        layout("lay_release", dists, release["Suite"], release["Version"], release["Description"])
        layout("lay_checksums", tree)
        if name == "md5":
            (tree / "sha256sum.txt").unlink()
        volume = f"Debian {release['Version']}.0 amd64 1"
        layout("write_image", tree, out / f"{name}.iso", volume)
        for index, content in kept.items():
            index.write_bytes(content)


def fillers(tree):
    """Writes the packages; yields their stanzas."""
    sizes = random.Random(1)
    for i in range(FILLERS):
        content = os.urandom(int(4096 + 93_000 * math.exp(sizes.uniform(-2, 2))))
        filename = f"pool/main/f/filler-{i // 100}/filler-{i}_1.0_amd64.deb"
        path = tree / filename
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        yield (
            f"Package: filler-{i}\nVersion: 1.0\nArchitecture: amd64\nFilename: {filename}\n"
            f"Size: {len(content)}\nMD5sum: {hashlib.md5(content).hexdigest()}\n"
            f"SHA256: {hashlib.sha256(content).hexdigest()}\n\n"
        )
