"""Decodes every vector under other releases of numpy, each in an environment of its own.

    python tests/portability.py [NUMPY_VERSION ...]

Needs a package index. The environments hold numpy and constriction only, as a decoder needs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from test_vectors import DECODE, INDEX, VECTORS

ROOT = Path(__file__).resolve().parents[1]
RELEASES = ("2.0.2", "2.2.6")


def digests(release: str, folder: Path) -> list[str]:
    """What the vectors decode to under numpy ``release``."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    packages = (f"numpy=={release}", "constriction>=0.5,<0.6")
    subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
    paths = [str(VECTORS / f"{name}.gsz") for name in sorted(INDEX)]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [str(python), "-c", DECODE, *paths]
    return subprocess.check_output(command, env=env, text=True).split()


def main() -> int:
    """Says for each release whether all vectors agree."""
    wanted = [INDEX[name]["scene_sha256"] for name in sorted(INDEX)]
    failed = 0
    for release in sys.argv[1:] or RELEASES:
        with tempfile.TemporaryDirectory() as folder:
            same = digests(release, Path(folder)) == wanted
        failed += not same
        print(json.dumps({"numpy": release, "vectors": len(wanted), "identical": same}))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
