"""Decodes every vector, and encodes a scene, under other releases and without constriction.

    python tests/portability.py [NUMPY_VERSION ...]

Needs a package index. Each release of numpy gets an environment of its own: without
constriction our own range coder does the work, then that is installed too. In the end the coder that
numba compiles works in the environment of this script.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import venv
from hashlib import sha256
from pathlib import Path

import gscodec
from test_vectors import INDEX, VECTORS

ROOT = Path(__file__).resolve().parents[1]
RELEASES = ("1.26.4", "2.0.2", "2.2.6")
ENCODED = "hac/mic_6000_sh0_fine"  # its scene is encoded again, in raw

# Decodes the files named on the command line but for the first, which is a list of packages to
# block. Prints a digest per line, then that of the last scene in raw, then the coder's name.
WORK = """
import sys
from hashlib import sha256
for name in sys.argv[1].split():
    sys.modules[name] = None  # importing it raises ImportError
import gscodec
from gscodec.coding import coders
for path in sys.argv[2:]:
    scene = gscodec.decode(open(path, "rb").read())
    print(scene.digest().hex())
print(sha256(gscodec.encode(scene, method="raw")).hexdigest())
print(type(coders.chosen()).__name__ + " numba" * ("numba" in sys.modules))
"""


def report(python: str, blocked: str, wanted: list[str], **environment: str) -> bool:
    """Runs `WORK`, says how it went, and returns whether everything was as ``wanted``."""
    paths = [VECTORS / f"{name}.gsz" for name in (*sorted(INDEX), ENCODED)]
    command = [python, "-c", WORK, blocked, *map(str, paths)]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    *digests, coder = subprocess.check_output(command, env=env, text=True).splitlines()
    same = digests == wanted
    row = {**environment, "coder": coder, "vectors": len(INDEX), "identical": same}
    print(json.dumps(row), flush=True)
    return same


def main() -> int:
    """Says for each environment whether all vectors and the encoded scene agree."""
    wanted = [str(INDEX[name]["scene_sha256"]) for name in (*sorted(INDEX), ENCODED)]
    scene = gscodec.decode((VECTORS / f"{ENCODED}.gsz").read_bytes())
    wanted.append(sha256(gscodec.encode(scene, method="raw")).hexdigest())
    right = []
    for release in sys.argv[1:] or RELEASES:
        with tempfile.TemporaryDirectory() as folder:
            venv.create(folder, with_pip=True)
            python = str(Path(folder) / "bin" / "python")
            needed = [f"numpy=={release}", "threadpoolctl>=3.1"]
            for packages in (needed, ["constriction>=0.5,<0.6"]):
                subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
                right.append(report(python, "", wanted, numpy=release))
    right.append(report(sys.executable, "constriction", wanted))
    return 0 if all(right) else 1


if __name__ == "__main__":
    sys.exit(main())
