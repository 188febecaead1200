"""Effort high, against SPZ's size and against photographs; and what measured weights save.

Writes out/high.md; docs/high.md says what was learned from it. Each encode is the command line of this project, alone on the machine, with
virtual cameras unless it says otherwise; quality is the independent judge's.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import JUDGE, ROOT, SHARED, judge, run

from gscodec.report.curve import bytes_at

SPZ = (sys.executable, str(ROOT / "tests" / "benchmarks" / "spz.py"))
CLI = (sys.executable, "-m", "gscodec")


def encode(source: Path, folder: Path, options: list[str]) -> tuple[int, float, Path]:
    """Bytes, seconds and the decoded scene of one encode of ``source``."""
    coded, decoded = folder / "coded.gsz", folder / "decoded.ply"
    cost = run((*CLI, "encode", "-", "-o", "-", "-q", *options), source, coded)
    run((*CLI, "decode", "-", "-o", "-", "-q"), coded, decoded)
    return coded.stat().st_size, cost.seconds, decoded


def at_spz(name: str, settings: list[list[str]], folder: Path) -> list[str]:
    """Rows of a scene: bytes and PSNR beside SPZ's."""
    scene = SHARED / "scenes" / name
    source, cameras = scene / "scene.ply", scene / "cameras.json"
    run((*SPZ, "encode"), source, folder / "spz")
    run((*SPZ, "decode"), folder / "spz", folder / "spz.ply")
    goal, _ = judge(source, folder / "spz.ply", cameras, folder)
    spz = (folder / "spz").stat().st_size
    rows = [f"| {name} | SPZ v4 | {spz:,} | 1.000 | {goal:.2f} dB | |"]
    curve = []
    train = scene / "cameras_train.json"
    for options in settings:
        given = []
        if "--views" in options:  # the training cameras, but the renders of the source
            cameras_only = json.loads(train.read_text())
            for camera in cameras_only:
                camera["image"] = ""
            (folder / "views.json").write_text(json.dumps(cameras_only))
            given = [str(folder / "views.json")]
        size, seconds, decoded = encode(source, folder, [*options, *given])
        psnr, _ = judge(source, decoded, cameras, folder)
        curve.append((size, psnr))
        said = " ".join([*options, *(["training cameras"] if given else [])])
        rows.append(
            f"| {name} | {said} | {size:,} | {size / spz:.3f} | {psnr:.2f} dB | {seconds:.0f} s |"
        )
        print(rows[-1], flush=True)
    there = bytes_at(goal, curve)
    if there:
        rows.append(
            f"| {name} | at SPZ's PSNR | {there:,.0f} | {there / spz:.3f} | {goal:.2f} dB | |"
        )
    return rows


def against_photographs(options: list[str], folder: Path) -> list[str]:
    """mic with its photographs: test PSNR of the source and of the coded scene."""
    sys.path.insert(0, str(JUDGE.parent))
    import judge as yardstick
    import numpy as np
    from PIL import Image

    scene = SHARED / "scenes" / "mic"
    views = folder / "views"
    views.mkdir(exist_ok=True)
    cameras = json.loads((scene / "cameras.json").read_text())
    photographs = []
    for camera in cameras:
        picture = Image.open(scene / "images" / camera["image"]).convert("RGBA")
        black = Image.new("RGBA", picture.size, (0, 0, 0, 255))
        rgb = np.asarray(Image.alpha_composite(black, picture).convert("RGB"))
        photographs.append(rgb.astype(np.float64) / 255)

    def test_psnr(ply: Path) -> float:
        loaded, found = yardstick.load(ply), []
        for camera, photograph in zip(cameras, photographs, strict=True):
            picture = np.clip(yardstick.render(loaded, camera), 0, 1)
            found.append(-10 * math.log10(float(((picture - photograph) ** 2).mean())))
        return float(np.mean(found))

    source = scene / "scene.ply"
    train = ["--views", str(scene / "cameras_train.json")]
    size, seconds, decoded = encode(source, folder, [*options, *train])
    before, after = test_psnr(source), test_psnr(decoded)
    whole = source.stat().st_size
    row = (
        f"| {' '.join(options)} | {size:,} | 1/{whole / size:.1f} | {before:.2f} dB "
        f"| {after:.2f} dB | {before - after:+.2f} dB | {seconds:.0f} s |"
    )
    print(row, flush=True)
    return [row]


def main() -> None:
    """Measures and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", nargs="*", default=["mic", "fox", "playbot"])
    parser.add_argument("--lambdas", nargs="*", default=["1e-4", "3e-4", "1e-3"])
    parser.add_argument("--given", nargs="*", default=[], metavar="LAMBDA")
    parser.add_argument("--options", default="--effort high")
    parser.add_argument("--photographs", nargs="*", default=["3e-4"], metavar="LAMBDA")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "high.md")
    args = parser.parse_args()
    if not JUDGE.exists():
        sys.exit(f"skipped: {JUDGE} is not there")
    if subprocess.run([*CLI, "--version"], capture_output=True, check=False).returncode:
        sys.exit("skipped: gscodec does not run")
    effort = args.options.split()
    lines = [
        "| scene | options | bytes | of SPZ v4 | PSNR | encode |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    photographs = [
        "| options | bytes | of the .ply | source | coded | lost | encode |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    with tempfile.TemporaryDirectory() as scratch:
        for name in args.scenes:
            settings = [[*effort, "--lambda", lam] for lam in args.lambdas]
            settings += [[*effort, "--lambda", lam, "--views"] for lam in args.given]
            lines += at_spz(name, settings, Path(scratch))
        for lam in args.photographs:
            photographs += against_photographs([*effort, "--lambda", lam], Path(scratch))
    command = "python tests/benchmarks/high.py " + " ".join(sys.argv[1:])
    page = [
        "# Effort high",
        "",
        f"Written by `{command}`. PSNR against renders of the source by the judge's renderer, mean over its",
        "views, which the encoder has not seen: it used virtual cameras.",
        "",
        *lines,
        "",
        "## mic against photographs",
        "",
        "`--views` with the training photographs; PSNR of the test photographs.",
        "",
        *photographs,
        "",
    ]
    args.out.parent.mkdir(exist_ok=True)
    args.out.write_text("\n".join(page))


if __name__ == "__main__":
    main()
