"""Seconds by stage with a GPU and without, side by side -> docs/gpu.md.

    python tests/benchmarks/gpu.py [CASE ...] [--scratch DIR] [--devices cuda cpu]

A case is SCENE:EFFORT[:ITERATIONS], SCENE being one of those beside the checkout, the bundled
example, or COUNT of `scale.write_tiled`. Each runs on every device, in a process of its own,
through the training cameras where there are some; before that the bundled example goes through
every device once, so that kernels are compiled. Where there is no GPU nothing is measured and
nothing written: the exit code is 1.
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench import ROOT, SHARED
from scale import cost, run, stages, write_tiled

from gscodec.disk.memory import cpus
from gscodec.fit.devices import problem_of

EXAMPLE = "mic-small"
CASES = (f"{EXAMPLE}:fast", "mic:fast", "1000000:fast", "mic:high:1000")
DEVICES = ("cuda", "cpu")


def source(name: str, scratch: Path) -> list[str]:
    """The scene of this ``name`` and its cameras, as arguments of encode."""
    if name.isdigit():
        ply = scratch / "tiled.ply"
        write_tiled(int(name), 3, ply)
        return [str(ply)]
    folder = ROOT / "examples" / name if name == EXAMPLE else SHARED / "scenes" / name
    if not (folder / "scene.ply").exists():
        sys.exit(f"{name}: {folder} has no scene.ply")
    cameras = folder / "cameras_train.json"
    return [str(folder / "scene.ply"), *(["--views", str(cameras)] if cameras.exists() else [])]


def measured(case: str, devices: list[str], scratch: Path) -> dict[str, dict[str, Any]]:
    """One case on each device."""
    name, effort, *iterations = case.split(":")
    options = ["-o", str(scratch / "a.gsz"), "--effort", effort]
    if iterations:
        options += ["--iterations", *iterations]
    scene = source(name, scratch)
    return {d: run("encode", *scene, *options, "--device", d) for d in devices}


def document(found: dict[str, dict[str, dict[str, Any]]]) -> str:
    """The page."""
    lines = [
        "# Encoding on a GPU",
        "",
        "Written by `python tests/benchmarks/gpu.py`. Seconds by the clock, kernels compiled.",
        "",
        "| case | device | bytes | s, CPU s, MB | of the CPU's s | by stage |",
        "| --- | --- | ---: | ---: | ---: | --- |",
    ]
    for case, rows in found.items():
        usual = rows.get("cpu")
        for device, row in rows.items():
            ratio = f"{row['seconds'] / usual['seconds']:.2f}" if usual else ""
            lines.append(
                f"| {case} | {device} | {row['bytes']:,} | {cost(row)} | {ratio} "
                f"| {stages(row)} |"
            )
    return "\n".join([*lines, "", f"On {machine()}.", ""])


def machine() -> str:
    """In words."""
    import torch

    gpu = f"{torch.cuda.get_device_name()}, " if torch.cuda.is_available() else ""
    return f"{gpu}{cpus()} CPUs, torch {torch.__version__}, Python {platform.python_version()}"


def main() -> None:
    """Measures and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE")
    parser.add_argument("--scratch", type=Path, help="folder for scenes and files")
    parser.add_argument("--devices", nargs="+", default=DEVICES, choices=DEVICES)
    args = parser.parse_args()
    for device in args.devices:
        if why := problem_of(device):
            sys.exit(f"{why}; nothing was measured")
    found = {}
    with tempfile.TemporaryDirectory(dir=args.scratch) as scratch:
        measured(f"{EXAMPLE}:fast", args.devices, Path(scratch))  # compiles
        for case in args.cases or CASES:
            found[case] = measured(case, args.devices, Path(scratch))
            print(case, found[case], flush=True)
    page = document(found)
    if "cuda" in args.devices:
        (ROOT / "docs" / "gpu.md").write_text(page)
    print(page)


if __name__ == "__main__":
    main()
