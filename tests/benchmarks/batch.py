"""Many scenes in one run, one of them broken, killed in the middle and started again.

    python tests/benchmarks/batch.py [--scenes 500] [--jobs 2] [--signal KILL|TERM|INT]

Counts what is there in the end, what was written twice, errors and exit codes; ends with 1 if
something is not as it should be.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

import gscodec

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "mic-small" / "scene.ply"
_GAUSSIANS = 300  # of each scene
_BROKEN = 3  # exit code of a source that is no scene
_PART = 0.4  # of the scenes, after which the run is killed


def write_scenes(folder: Path, count: int) -> None:
    """Different scenes, of which the one in the middle is broken."""
    example = gscodec.read_ply(EXAMPLE.read_bytes()).scene
    rng = np.random.default_rng(0)
    for number in range(count):
        rows = np.sort(rng.choice(len(example), _GAUSSIANS, replace=False))
        data = gscodec.write_ply(replace(example.take(rows)))
        broken = number == count // 2
        (folder / f"{number:04}.ply").write_bytes(data[:5000] if broken else data)


def main() -> None:
    """Runs, kills, runs again, and counts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--scenes", type=int, default=500)
    parser.add_argument("--jobs", default="2")
    parser.add_argument("--signal", choices=("KILL", "TERM", "INT"), default="KILL")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, out = Path(name), Path(name) / "out"
        write_scenes(folder, given.scenes)
        sources = sorted(str(path) for path in folder.glob("*.ply"))
        options = ["-o", str(out), "--method", "raw", "--jobs", given.jobs, "--skip-existing"]
        command = [sys.executable, "-m", "gscodec", "encode", *sources, *options]
        began = time.monotonic()
        with subprocess.Popen(command, stderr=subprocess.PIPE) as first:
            while len(list(out.glob("*.gsz"))) < _PART * given.scenes:
                time.sleep(0.02)
            first.send_signal(getattr(signal, f"SIG{given.signal}"))
            first.wait()
        there = {path.name: path.stat().st_mtime_ns for path in out.glob("*.gsz")}
        second = subprocess.run(command, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - began
        after = {path.name: path.stat().st_mtime_ns for path in out.glob("*.gsz")}
        twice = [name for name, when in there.items() if after[name] != when]
        left = [path.name for path in out.iterdir() if path.suffix != ".gsz"]
        errors = [line for line in second.stderr.splitlines() if "error:" in line]
        sound = subprocess.run(
            [
                sys.executable,
                "-m",
                "gscodec",
                "verify",
                *sorted(map(str, out.glob("*.gsz"))),
                "-q",
            ],
            check=False,
        )
    print(f"killed by SIG{given.signal} with {len(there)} files, exit code {first.returncode}")
    print(
        f"then exit code {second.returncode}, {len(after)} files, {len(twice)} written twice, "
        f"{len(left)} left half-written, {len(errors)} error lines, verify {sound.returncode}"
    )
    print(second.stderr.splitlines()[-1], f"(of {seconds:.1f} s in both runs)")
    print(*errors, sep="\n")
    right = (
        second.returncode,
        len(after),
        len(twice),
        len(left),
        len(errors),
        sound.returncode,
    )
    sys.exit(right != (_BROKEN, given.scenes - 1, 0, 0, 1, 0))


if __name__ == "__main__":
    main()
