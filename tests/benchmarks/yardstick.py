"""`gscodec compare` beside a judge that is no part of gscodec: both must say the same.

Each scene is encoded and decoded once; then both compare it with its source, over the same
cameras; what checkpoints of Scaffold-GS decode to, with their photographs. They share no code:
the judge has its own reader, renderer (C++), PSNR and SSIM. Pictures of checkpoints are compared
one by one, too: those that the judge draws of the decoded folder, and ours.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np

import gscodec
from gscodec.render import render
from gscodec.render.quality import psnr

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
JUDGE = SHARED / "judge" / "judge.py"
JUDGE_OF_CHECKPOINTS = JUDGE.with_name("judge_scaffold.py")
SCENES = ("mic-small", "mic", "plant", "fox", "playbot")
# Checkpoint -> the scene that has its photographs.
CHECKPOINTS = {"mic-scaffold": "mic", "kwrous-scaffold": "kwrous-scaffold"}
GSCODEC = (sys.executable, "-m", "gscodec")
TOLERANCE = 0.02  # dB
LEAST_ALIKE = 60.0  # dB, pictures of one checkpoint


@dataclass(frozen=True)
class Verdict:
    """PSNR in dB and SSIM, means over the views, and the PSNR of the worst view."""

    psnr: float
    worst: float
    ssim: float
    views: int


def coded(scene: Path, folder: Path, lam: str) -> tuple[Path, Path]:
    """The .gsz, and beside it what it decodes to, made unless they are in ``folder``."""
    checkpoint = scene.name in CHECKPOINTS
    gsz = folder / f"{scene.name}-{lam}.gsz"
    if not gsz.exists():
        source = scene if checkpoint else scene / "scene.ply"
        run(*GSCODEC, "encode", source, "--lambda", lam, "-o", gsz, "--quiet")
    made = gsz.with_suffix("" if checkpoint else ".ply")
    if not made.exists():
        run(*GSCODEC, "decode", gsz, "-o", made, "--quiet")
    return gsz, made


def ours(scene: Path, gsz: Path) -> Verdict:
    """By `gscodec compare`, of the .gsz itself."""
    views = ("--views", scene / "cameras.json")
    out = run(*GSCODEC, "compare", scene / "scene.ply", gsz, *views, "--quiet", "--json")
    result = json.loads(out)
    count = len(result["views"])
    return Verdict(result["psnr"], result["worst_psnr"], result["ssim"], count)


def theirs(scene: Path, ply: Path, folder: Path) -> Verdict:
    """By the judge, of the decoded .ply."""
    out, cameras = folder / "judge.json", scene / "cameras.json"
    run(sys.executable, JUDGE, "compare", scene / "scene.ply", ply, cameras, "--json", out)
    result = json.loads(out.read_text())
    count = len(result["views"])
    return Verdict(result["psnr"], result["worst_psnr"], result["ssim"], count)


def ours_of_checkpoint(scene: Path, gsz: Path, images: Path) -> Verdict:
    """By `gscodec compare`, of renders of the .gsz against photographs."""
    views = ("--views", scene / "cameras.json", "--images", images)
    result = json.loads(run(*GSCODEC, "compare", scene, gsz, *views, "--quiet", "--json"))
    mean = result["photographs"]["b"]
    worst = min(view["b_to_photograph"]["psnr"] for view in result["views"])
    return Verdict(mean["psnr"], worst, mean["ssim"], len(result["views"]))


def theirs_of_checkpoint(scene: Path, made: Path, images: Path, folder: Path) -> Verdict:
    """By the judge, of the decoded folder ``made``."""
    out, cameras = folder / "judge.json", scene / "cameras.json"
    options = ("--images", images, "--json", out)
    run(sys.executable, JUDGE_OF_CHECKPOINTS, made, cameras, *options)
    result = json.loads(out.read_text())
    worst = min(view["psnr"] for view in result["rows"])
    return Verdict(result["psnr"], worst, result["ssim"], result["views"])


def alike(scene: Path, made: Path) -> float:
    """PSNR, dB, of the judge's pictures of a decoded checkpoint against ours, in the worst view."""
    sys.path.insert(0, str(JUDGE_OF_CHECKPOINTS.parent))
    judge = import_module(JUDGE_OF_CHECKPOINTS.stem)
    cameras = scene / "cameras.json"
    theirs, own = judge.load(made), gscodec.load(made)
    raw, read = json.loads(cameras.read_text()), gscodec.load_cameras(cameras)
    return min(
        psnr(np.clip(render(own, camera), 0, 1), judge.render(theirs, as_written)[0])
        for as_written, camera in zip(raw, read, strict=True)
    )


def verdicts(name: str, keep: Path, scratch: Path, lam: str) -> tuple[Verdict, Verdict, float]:
    """Ours and theirs of one scene, and how alike pictures are: infinity if not measured."""
    scene = SHARED / "scenes" / name
    gsz, made = coded(scene, keep, lam)
    if name not in CHECKPOINTS:
        return ours(scene, gsz), theirs(scene, made, scratch), math.inf
    images = SHARED / "scenes" / CHECKPOINTS[name] / "images"
    a = ours_of_checkpoint(scene, gsz, images)
    b = theirs_of_checkpoint(scene, made, images, scratch)
    return a, b, alike(scene, made)


def run(*command: str | Path) -> bytes:
    """What a command prints; the script ends if it fails."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


def row(name: str, a: Verdict, b: Verdict, pictures: float) -> str:
    """One line of the table; ``a`` is ours, ``b`` the judge's."""
    same = "-" if math.isinf(pictures) else f"{pictures:.1f} dB"
    return (
        f"| {name} | {a.views} | {a.psnr:.3f} dB | {b.psnr:.3f} dB | {a.psnr - b.psnr:+.4f} dB "
        f"| {a.worst - b.worst:+.4f} dB | {a.ssim - b.ssim:+.6f} | {same} |"
    )


def main() -> None:
    """Prints a Markdown table; ends with 1 if a difference exceeds the tolerance."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--scenes",
        nargs="+",
        default=(*SCENES, *CHECKPOINTS),
        help="folders of ../shared/scenes",
    )
    parser.add_argument("--lambda", dest="lam", default="2e-3")
    parser.add_argument("--keep", type=Path, help="folder of coded scenes, used if there")
    args = parser.parse_args()
    if not JUDGE.exists():
        sys.exit(f"skipped: there is no judge at {JUDGE}")
    print("| scene | views | ours | yardstick | difference | worst view | SSIM | pictures |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |", flush=True)
    differences, least = [], math.inf
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.keep or Path(scratch)
        for name in args.scenes:
            scene = SHARED / "scenes" / name
            if not (scene / ("cfg_args" if name in CHECKPOINTS else "scene.ply")).exists():
                print(f"| {name} | skipped: not on this machine | | | | | | |", flush=True)
                continue
            a, b, pictures = verdicts(name, folder, Path(scratch), args.lam)
            print(row(name, a, b, pictures), flush=True)
            differences += [abs(a.psnr - b.psnr), abs(a.worst - b.worst)]
            least = min(least, pictures)
    if max(differences, default=0.0) > TOLERANCE:
        sys.exit(f"differences up to {max(differences):.3f} dB, expected at most {TOLERANCE}")
    if not least >= LEAST_ALIKE:
        sys.exit(f"pictures are {least:.1f} dB alike, expected at least {LEAST_ALIKE}")


if __name__ == "__main__":
    main()
