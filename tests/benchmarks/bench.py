"""Bytes, quality, seconds and memory of gscodec beside SPZ and xz, on real scenes.

Every encoder and decoder runs in a process of its own, from stdin to stdout, through its real
command line. Quality is that of the renders of the decoded scene against the renders of the
source, by a judge that is no part of gscodec. Nothing is cached: each run measures everything.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gscodec.report.curve import bytes_at

if TYPE_CHECKING:
    import resource
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
JUDGE = SHARED / "judge" / "judge.py"
SCENES = ("mic-small", "mic", "plant", "fox", "playbot")
METHODS = ("hac", "raw")
# Around the quality of SPZ on each scene, and one far below.
LAMBDAS = {
    "mic-small": ("2.5e-4", "5e-4", "2e-3"),
    "mic": ("2.5e-4", "5e-4", "2e-3"),
    "plant": ("1e-4", "4e-4", "2e-3"),
    "fox": ("1e-3", "2e-3", "4e-3"),
    "playbot": ("3e-4", "6e-4", "2e-3"),
}
SPZ = "SPZ v4"
# Not measured here: bytes and PSNR of qualcomm/lite-3Dgsplat-codec at its level 2, by the judge.
LGSC_NAME = "L-GSC level 2"
LGSC = {"mic": (1_500_022, 47.85), "fox": (1_944_692, 37.99)}


@dataclass(frozen=True)
class Codec:
    """A pair of commands, both from stdin to stdout; without them, the file as it is."""

    name: str
    encode: tuple[str, ...] = ()
    decode: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cost:
    """What one process took: seconds by the clock, memory, seconds of processors."""

    seconds: float
    peak_mb: float
    cpu: float


@dataclass(frozen=True)
class Row:
    """One codec on one scene; PSNR in dB, mean over the views, at most 100."""

    scene: str
    codec: str
    bytes: int
    gaussians: int
    psnr: float
    ssim: float
    encode: Cost | None
    decode: Cost | None


def codecs(methods: list[str], lambdas: Sequence[str]) -> list[Codec]:
    """What is measured, in the order of the tables."""
    spz = (sys.executable, str(ROOT / "tests" / "benchmarks" / "spz.py"))
    rows = [
        Codec(".ply"),
        Codec("xz -6", ("xz", "-6", "-c"), ("xz", "-dc")),
        Codec(SPZ, (*spz, "encode"), (*spz, "decode")),
    ]
    for method in methods:
        rows += [gscodec(method, lam) for lam in ([None] if method == "raw" else lambdas)]
    return rows


def gscodec(method: str, lam: str | None) -> Codec:
    """The command line of this project with one setting."""
    cli = (sys.executable, "-m", "gscodec")
    stdio = ("-", "-o", "-", "--quiet")
    weight = ("--lambda", lam) if lam else ()
    name = f"{method} {lam}" if lam else method
    encode = (*cli, "encode", *stdio, "--method", method, *weight)
    return Codec(name, encode, (*cli, "decode", *stdio))


def run(command: tuple[str, ...], source: Path, target: Path) -> Cost:
    """Runs ``command`` from ``source`` to ``target``."""
    start = time.perf_counter()
    with source.open("rb") as stdin, target.open("wb") as stdout:
        process = subprocess.Popen(command, stdin=stdin, stdout=stdout)
        usage = usage_of(process, f"{shlex.join(command)} < {source}")
    unit = 1 if sys.platform == "darwin" else 1024
    cpu = usage.ru_utime + usage.ru_stime
    return Cost(time.perf_counter() - start, usage.ru_maxrss * unit / 1e6, cpu)


def usage_of(process: subprocess.Popen[bytes], what: str) -> resource.struct_rusage:
    """What ``process`` took, once it has ended; ends this one if it has failed at ``what``."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{what}: exit code {process.returncode}")
    return usage


def judge(reference: Path, test: Path, cameras: Path, folder: Path) -> tuple[float, float]:
    """PSNR and SSIM of the renders of ``test`` against those of ``reference``."""
    result = judgement(reference, test, cameras, folder)
    return result["psnr"], result["ssim"]


def judgement(reference: Path, test: Path, cameras: Path, folder: Path) -> dict[str, float]:
    """All that the judge says of the same."""
    out = folder / "judge.json"
    command: list[str | Path] = [
        sys.executable,
        JUDGE,
        "compare",
        reference,
        test,
        cameras,
        "--json",
        out,
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    result: dict[str, float] = json.loads(out.read_text())
    return result


def measure(scene: Path, codec: Codec, folder: Path) -> Row:
    """One codec on one scene."""
    source, coded, decoded = scene / "scene.ply", folder / "coded", folder / "decoded.ply"
    costs: tuple[Cost | None, Cost | None] = (None, None)
    if codec.encode:
        costs = run(codec.encode, source, coded), run(codec.decode, coded, decoded)
    else:
        coded = decoded = source
    psnr, ssim = judge(source, decoded, scene / "cameras.json", folder)
    size, count = coded.stat().st_size, count_gaussians(source)
    return Row(scene.name, codec.name, size, count, psnr, ssim, *costs)


def count_gaussians(ply: Path) -> int:
    """N as the header says."""
    with ply.open("rb") as file:
        found = re.search(rb"element vertex (\d+)", file.read(1 << 16))
    return int(found[1]) if found else sys.exit(f"{ply}: no element vertex")


def comparison(rows: list[Row], methods: list[str]) -> list[str]:
    """The table of sizes at SPZ's quality."""
    lines = [
        "| scene | method | PSNR of SPZ v4 | SPZ v4 bytes | gscodec bytes there | ratio |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for spz in (row for row in rows if row.codec == SPZ):
        for method in methods:
            prefix = f"{method} "
            own = [r for r in rows if r.scene == spz.scene and r.codec.startswith(prefix)]
            if not own:
                continue
            size = bytes_at(spz.psnr, [(row.bytes, row.psnr) for row in own])
            cells = (f"{size:,.0f}", f"{size / spz.bytes:.3f}") if size else ("outside", "-")
            lines.append(
                f"| {spz.scene} | {method} | {spz.psnr:.2f} dB | {spz.bytes:,} "
                f"| {cells[0]} | {cells[1]} |"
            )
    return lines


def beside_lgsc(rows: list[Row], methods: list[str]) -> list[str]:
    """The table of sizes at the quality of L-GSC."""
    lines = [
        "| scene | method | PSNR of L-GSC | L-GSC bytes | gscodec bytes there | ratio |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for scene, (size, psnr) in LGSC.items():
        for method in methods:
            own = [
                (row.bytes, row.psnr)
                for row in rows
                if row.scene == scene and row.codec.startswith(f"{method} ")
            ]
            if found := bytes_at(psnr, own):
                lines.append(
                    f"| {scene} | {method} | {psnr:.2f} dB | {size:,} | {found:,.0f} "
                    f"| {found / size:.3f} |"
                )
    return lines


def table(rows: list[Row]) -> list[str]:
    """The table of one scene."""
    lines = [
        "| codec | bytes | bytes per Gaussian | PSNR | SSIM | encode | decode |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {r.codec} | {r.bytes:,} | {r.bytes / r.gaussians:.2f} | {r.psnr:.2f} dB "
        f"| {r.ssim:.5f} | {cost(r.encode)} | {cost(r.decode)} |"
        for r in rows
    ]
    return lines


def cost(value: Cost | None) -> str:
    """For example ``12.3 s, 512 MB``."""
    return f"{value.seconds:.1f} s, {value.peak_mb:,.0f} MB" if value else "-"


def document(rows: list[Row], methods: list[str], skipped: list[str]) -> str:
    """docs/benchmarks.md."""
    version = subprocess.check_output([sys.executable, "-m", "gscodec", "--version"], text=True)
    command = shlex.join(["python", "tests/benchmarks/bench.py", *sys.argv[1:]])
    machine = f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} CPUs"
    lines = [
        "# Benchmarks",
        "",
        f"Written by `{command}` with {version.strip()}, {machine}.",
        "",
        "PSNR and SSIM compare renders of the decoded scene with renders of the source, mean over",
        "the views of `cameras.json`; 100 dB stands for identical pictures. Seconds are wall",
        "clock and memory is the peak of the process, interpreter start included. SPZ v4 is that",
        "of gaussforge with its default bits (it offers no others), quaternions normalised first.",
        "",
        "## Bytes at the quality of SPZ",
        "",
        "log(bytes) is interpolated linearly in PSNR between the two neighbouring lambdas;",
        '"outside": the quality of SPZ is not between two of them.',
        "",
        *comparison(rows, methods),
        "",
        "## Bytes at the quality of L-GSC",
        "",
        "L-GSC (qualcomm/lite-3Dgsplat-codec, level 2) was measured apart, by the same judge.",
        "",
        *beside_lgsc(rows, methods),
        "",
    ]
    for scene in dict.fromkeys(row.scene for row in rows):
        own = [row for row in rows if row.scene == scene]
        lines += [f"## {scene}: {own[0].gaussians:,} Gaussians", "", *table(own), ""]
    if skipped:
        lines += [f"Skipped, not on this machine: {', '.join(skipped)}.", ""]
    return "\n".join(lines)


def main() -> None:
    """Measures, prints while it does, writes Markdown and JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--scenes", nargs="+", default=SCENES, help="folders of ../shared/scenes"
    )
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--lambdas", nargs="+", help="default: by scene")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "benchmarks.md")
    args = parser.parse_args()
    rows: list[Row] = []
    skipped = []
    for name in args.scenes:
        folder = SHARED / "scenes" / name
        if not (JUDGE.exists() and (folder / "scene.ply").exists()):
            print(f"{name}: skipped", flush=True)
            skipped.append(name)
            continue
        for codec in codecs(args.methods, args.lambdas or LAMBDAS[name]):
            with tempfile.TemporaryDirectory() as scratch:
                rows.append(measure(folder, codec, Path(scratch)))
            print(name, *table(rows[-1:])[2:], flush=True)
    if not rows:
        sys.exit("nothing measured: no scene found")
    args.out.write_text(document(rows, args.methods, skipped))
    results = json.dumps([asdict(row) for row in rows], indent=1)
    args.out.with_suffix(".json").write_text(results + "\n")
    print(f"wrote {args.out} and {args.out.with_suffix('.json')}")


if __name__ == "__main__":
    main()
