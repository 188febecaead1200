"""Seconds by stage, memory and bytes against the number of Gaussians -> docs/scale.md.

    python tests/benchmarks/scale.py [CASE ...] [--scratch DIR] [--write]

A case is COUNT:DEGREE:EFFORT, or COUNT:DEGREE:EFFORT:MOST with another `--max-memory`; without
any, all of `CASES` are measured, which takes an hour on two cores. The scene is fox (whose higher SH is in use) or, where that is missing, the bundled example,
set out side by side until there are COUNT Gaussians, every value disturbed so that no two copies
are alike. What was measured is kept in docs/scale.json; cases that are named replace theirs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from bench import ROOT, SHARED

from gscodec.disk.memory import cpus
from gscodec.sceneio import read_ply
from gscodec.sceneio.layout import columns_of, written_order

if TYPE_CHECKING:
    from numpy.typing import NDArray

CASES = (
    "250000:3:instant",
    "1000000:3:instant",
    "5000000:3:instant",
    "4000000:0:instant:1400MB",
    "13600000:0:instant:1400MB",
    "250000:3:fast",
    "1000000:3:fast",
)
MOST = "6GB"
KEPT = ROOT / "docs" / "scale.json"
_DISTURBANCE = 0.02  # of the standard deviation of each value
_MOVED = 0.001  # the same of a position
_MANUAL = "<!-- by hand from here on -->"


def source() -> Path:
    """What is tiled."""
    fox = SHARED / "scenes" / "fox" / "scene.ply"
    return fox if fox.exists() else ROOT / "examples" / "mic-small" / "scene.ply"


def write_tiled(count: int, degree: int, target: Path) -> None:
    """A .ply of ``count`` Gaussians, copy by copy: there may not be memory for all of them."""
    scene = read_ply(source().read_bytes()).scene
    order, columns = (
        written_order(degree, has_normals=False),
        _columns(scene.attributes(), degree),
    )
    low, high = np.percentile(scene.means, [2, 98], axis=0)
    apart, side = float((high - low).max()), int(np.ceil(np.sqrt(-(-count // len(scene)))))
    rng = np.random.default_rng(0)
    lines = [f"property float {name}" for name in order]
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {count}", *lines]
    with target.open("wb") as file:
        file.write("\n".join([*header, "end_header", ""]).encode())
        for copy, start in enumerate(range(0, count, len(scene))):
            rows = min(len(scene), count - start)
            table = np.empty(rows, [(name, "<f4") for name in order])
            for name in order:
                own = columns[name][:rows]
                size = (_MOVED if name in "xyz" else _DISTURBANCE) * own.std()
                table[name] = own + rng.normal(0, 1, rows).astype(np.float32) * np.float32(size)
            table["x"] += np.float32(copy % side * apart)
            table["y"] += np.float32(copy // side * apart)
            file.write(table.tobytes())


def _columns(
    arrays: dict[str, NDArray[np.float32]], degree: int
) -> dict[str, NDArray[np.float32]]:
    return {
        name: arrays[field].reshape(len(arrays[field]), -1)[:, number]
        for field, names in columns_of(degree).items()
        for number, name in enumerate(names)
    }


def run(most: str, *arguments: str) -> dict[str, Any]:
    """One command: what it reports, seconds and memory of its process."""
    command = [sys.executable, "-m", "gscodec", *arguments, "--max-memory", most, "--json"]
    start = time.perf_counter()
    process = subprocess.Popen(
        [*command, "--quiet", "--overwrite"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    text = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)}: exit code {process.returncode}")
    told = json.loads(text)
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "seconds": time.perf_counter() - start,
        "cpu": usage.ru_utime + usage.ru_stime,
        "peak_mb": usage.ru_maxrss * unit / 1e6,
        "stages": told["stages"],
        "bytes": told["output_bytes"],
    }


def measured(case: str, scratch: Path) -> dict[str, Any]:
    """One case."""
    count, degree, effort, most = [*case.split(":"), MOST][:4]
    ply, gsz, back = (scratch / name for name in ("a.ply", "a.gsz", "b.ply"))
    write_tiled(int(count), int(degree), ply)
    size = ply.stat().st_size
    encoded = run(most, "encode", str(ply), "-o", str(gsz), "--effort", effort)
    ply.unlink()
    decoded = run(most, "decode", str(gsz), "-o", str(back))
    back.unlink()
    machine = f"Python {platform.python_version()}, {platform.machine()}, {cpus()} CPUs"
    busy = os.getloadavg()[1] / cpus()
    return {
        "count": int(count),
        "degree": int(degree),
        "effort": effort,
        "most": most,
        "ply": size,
        "encode": encoded,
        "decode": decoded,
        "machine": machine,
        "load": round(busy, 1),
    }


def document(rows: list[dict[str, Any]]) -> list[str]:
    """The tables of docs/scale.md."""
    lines = [
        "# Scale",
        "",
        "Written by `python tests/benchmarks/scale.py`; the numbers are in `docs/scale.json`.",
        f"Every command had `--max-memory {MOST}` unless another is said; verification is part of",
        "encoding.",
        "CPU seconds are of all threads. Load is that of the machine per processor while it was",
        "measured: beyond 1 others were at work, and wall-clock seconds (in all, and by stage) are",
        "about as many times longer than on an idle one. Memory is the peak of the process, with",
        "those pages of scratch files that are in use.",
        "",
        "| Gaussians, SH | effort | .ply | .gsz | encode: s, CPU s, MB | decode: s, CPU s, MB | load |",
        "| ---: | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {scene(r)} | {r['effort']} | {r['ply']:,} "
        f"| {r['encode']['bytes']:,} | {cost(r['encode'])} | {cost(r['decode'])} "
        f"| {r['load']} |"
        for r in rows
    ]
    lines += [
        "",
        "Seconds by stage:",
        "",
        "| Gaussians, SH | effort | encode | decode |",
        "| ---: | --- | --- | --- |",
    ]
    lines += [
        f"| {scene(r)} | {r['effort']} | {stages(r['encode'])} | {stages(r['decode'])} |"
        for r in rows
    ]
    machines = sorted({row["machine"] for row in rows})
    return [*lines, "", f"On {'; '.join(machines)}.", "", "![Growth](scale.svg)", ""]


def scene(row: dict[str, Any]) -> str:
    """What was measured, and in how much memory if not in as much as most."""
    most = row.get("most", MOST)
    return f"{row['count']:,}, {row['degree']}" + (f" in {most}" if most != MOST else "")


def cost(found: dict[str, Any]) -> str:
    return f"{found['seconds']:.0f}, {found['cpu']:.0f}, {found['peak_mb']:,.0f}"


def stages(found: dict[str, Any]) -> str:
    return ", ".join(f"{n} {s:.1f}" for n, s in found["stages"].items() if s >= 0.05)


def plot(rows: list[dict[str, Any]], target: Path) -> None:
    """CPU seconds and memory against the number of Gaussians."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams["svg.hashsalt"] = "scale"
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for degree, effort in sorted({(r["degree"], r["effort"]) for r in rows}):
        own = sorted(
            (r for r in rows if (r["degree"], r["effort"]) == (degree, effort)),
            key=lambda r: r["count"],
        )
        for what, style in (("encode", "-"), ("decode", "--")):
            label = f"{what}, {effort}, SH {degree}"
            counts = [r["count"] for r in own]
            left.loglog(counts, [r[what]["cpu"] for r in own], f"o{style}", label=label)
            right.loglog(counts, [r[what]["peak_mb"] for r in own], f"o{style}")
    left.set(xlabel="Gaussians", ylabel="CPU seconds")
    right.set(xlabel="Gaussians", ylabel="peak memory, MB")
    figure.legend(loc="outside right upper", fontsize=7)
    figure.savefig(target, metadata={"Date": None})


def main() -> None:
    """Measures what is asked for and writes all that is known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE")
    parser.add_argument("--scratch", type=Path, help="folder for the scenes")
    parser.add_argument("--write", action="store_true", help="measure nothing")
    args = parser.parse_args()
    known = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    for case in () if args.write else args.cases or CASES:
        with tempfile.TemporaryDirectory(dir=args.scratch) as scratch:
            known[case] = measured(case, Path(scratch))
        print(case, known[case], flush=True)
        KEPT.write_text(json.dumps(known, indent=1) + "\n")
    rows = [known[case] for case in (*CASES, *sorted(known.keys() - CASES)) if case in known]
    page = ROOT / "docs" / "scale.md"
    old = page.read_text().partition(_MANUAL)[2] if page.exists() else ""
    page.write_text("\n".join([*document(rows), _MANUAL]) + (old or "\n"))
    plot(rows, page.with_suffix(".svg"))


if __name__ == "__main__":
    main()
