"""Effort instant beside effort fast and hac: bytes, PSNR, seconds, memory -> a table.

    python tests/benchmarks/instant.py --scenes mic:1e-3 fox:2e-3 --estimators DIR

Each scene is encoded at its lambda in a process of its own, at effort instant without torch and
numba, and at effort fast; quality is that of renders through the cameras beside it. hac is
interpolated at the PSNR of effort instant between the lambdas of docs/benchmarks.json, log of
bytes linear in PSNR. ``--estimators`` names a folder of what `tests/train_estimate.py --apart`
wrote: FILE.SCENE.bin is taken for a scene in place of what is shipped, which has seen it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench import ROOT, SHARED
from quality import judged

from gscodec.report.curve import bytes_at

SCENES = ("mic-small:1e-3", "mic:1e-3", "fox:2e-3", "plant:2e-4", "playbot:4e-4")
# Arguments: what to block, an estimator or nothing, then those of the command line.
WORK = """
import sys
for name in sys.argv[1].split():
    sys.modules[name] = None
if sys.argv[2]:
    from gscodec.fit import estimate
    other = estimate.estimator_of(open(sys.argv[2], "rb").read())
    estimate.shipped = lambda: other
sys.argv[1:] = sys.argv[3:]
from gscodec.cli import main
main()
"""


def encoded(source: Path, coded: Path, lam: str, effort: str, estimator: str) -> str:
    """Encodes, and says what it took."""
    blocked = "torch numba scipy" if effort == "instant" else ""
    args = ("encode", str(source), "-o", str(coded), "--method", "hemgs", "-q", "--overwrite")
    command = [sys.executable, "-c", WORK, blocked, estimator, *args, "--lambda", lam]
    start = time.perf_counter()
    process = subprocess.Popen([*command, "--effort", effort])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{source}, effort {effort}: exit code {process.returncode}")
    wall, cpu = time.perf_counter() - start, usage.ru_utime + usage.ru_stime
    return f"{cpu:.1f} s ({wall:.1f} s), {usage.ru_maxrss / 1024:,.0f} MB"


def row(name: str, lam: str, estimators: Path | None, curve: list[tuple[float, float]]) -> str:
    """Of the table."""
    source, cameras = (SHARED / "scenes" / name / f for f in ("scene.ply", "cameras.json"))
    held_out = (
        sorted(estimators.glob(f"*.{name.split('-', maxsplit=1)[0]}.bin")) if estimators else []
    )
    sizes, psnrs, costs = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for effort in ("instant", "fast"):
            coded = Path(folder) / f"{effort}.gsz"
            estimator = str(held_out[0]) if held_out and effort == "instant" else ""
            costs.append(encoded(source, coded, lam, effort, estimator))
            sizes.append(coded.stat().st_size)
            psnrs.append(judged(source, cameras, coded)[0])
    there = bytes_at(psnrs[0], curve)
    ratio = f"{sizes[0] / there:.3f}" if there else "outside"
    cells = [
        f"{lam}",
        *(f"{s:,} B, {p:.2f} dB" for s, p in zip(sizes, psnrs, strict=True)),
        *costs,
        ratio,
    ]
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", nargs="+", default=SCENES)
    parser.add_argument("--estimators", type=Path)
    given = parser.parse_args()
    if not SHARED.is_dir():
        raise SystemExit(f"skipped: there is no {SHARED} with the scenes")
    known = json.loads((ROOT / "docs" / "benchmarks.json").read_text())
    print("| scene | lambda | instant | fast | CPU (wall), memory | of fast | bytes / hac |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for named in given.scenes:
        name, lam = named.split(":")
        own = [r for r in known if r["scene"] == name and r["codec"].startswith("hac ")]
        curve = [(r["bytes"], r["psnr"]) for r in own]
        print(row(name, lam, given.estimators, curve), flush=True)


if __name__ == "__main__":
    main()
