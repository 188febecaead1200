"""All methods side by side, on Gaussians and on checkpoints -> docs/methods.md, .json and .svg.

Every encode and decode is a process of its own through the command line. Quality is that of
the independent judge: of Gaussians against renders of the source, of checkpoints against their
test photographs. Rows that a former run of the same commit measured are kept with --go-on.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from itertools import count, groupby
from pathlib import Path
from typing import Any

from bench import JUDGE, LGSC, LGSC_NAME, ROOT, SHARED, SPZ, Codec, Cost, judge, run
from scaffold import judged

from gscodec.methods import names
from gscodec.report.curve import bjontegaard_rate
from gscodec.report.plot_style import STYLE
from gscodec.report.rd_plot import scale_by_size
from gscodec.report.rd_style import COLOURS, series_colour

SCENES = ("mic-small", "mic", "plant", "fox", "playbot", "mic-scaffold", "kwrous-scaffold")
LAMBDAS = ("2.5e-4", "1e-3", "4e-3", "8e-3")
SPZ_COMMAND = (sys.executable, str(ROOT / "tests" / "benchmarks" / "spz.py"))
CLI = (sys.executable, "-m", "gscodec")
PAGE = ROOT / "docs" / "methods.md"
COLUMNS, TICKS = 3, 5  # of the figure, of a panel at most
MARKS = {SPZ: "D", LGSC_NAME: "s"}  # codecs that have no curve


@dataclass(frozen=True)
class Point:
    """A method at one lambda on one scene; PSNR in dB."""

    scene: str
    method: str
    lam: str
    bytes: int
    psnr: float
    encode: Cost
    decode: Cost


def measure(scene: Path, method: str, lam: str, scratch: Path) -> Point:
    """Encodes, decodes, judges."""
    checkpoint = (scene / "cfg_args").exists()
    source = scene if checkpoint else scene / "scene.ply"
    coded, decoded = scratch / "coded.gsz", scratch / ("decoded" if checkpoint else "d.ply")
    if method == SPZ:
        codec = Codec(SPZ, (*SPZ_COMMAND, "encode"), (*SPZ_COMMAND, "decode"))
        costs = run(codec.encode, source, coded), run(codec.decode, coded, decoded)
    else:
        views = ("--views", str(_cameras_alone(scene, scratch))) if checkpoint else ()
        options = ("--quiet", "--overwrite", "--method", method, "--lambda", lam, *views)
        encode = (*CLI, "encode", str(source), "-o", str(coded), *options)
        decode = (*CLI, "decode", str(coded), "-o", str(decoded), "--quiet")
        nothing = Path("/dev/null")
        costs = run(encode, nothing, nothing), run(decode, nothing, nothing)
    if checkpoint:
        psnr = judged(decoded, scene, _images(scene), scratch / "judge.json")[0]
    else:
        psnr = judge(source, decoded, scene / "cameras.json", scratch)[0]
    return Point(scene.name, method, lam, coded.stat().st_size, psnr, *costs)


def _cameras_alone(scene: Path, scratch: Path) -> Path:
    """The training cameras without their photographs, which effort fast does not see."""
    cameras = json.loads((scene / "cameras_train.json").read_text())
    views = scratch / "cameras.json"
    views.write_text(json.dumps([{**camera, "image": ""} for camera in cameras]))
    return views


def _images(scene: Path) -> Path:
    """Test photographs of a checkpoint; that of mic is of the scene of this name."""
    own = scene / "images"
    return own if own.exists() else SHARED / "scenes" / "mic" / "images"


def rates(points: list[Point]) -> list[str]:
    """How many bytes each method needs against the first one, at equal PSNR."""
    scenes = list(dict.fromkeys(p.scene for p in points))
    reference, *methods = (m for m in dict.fromkeys(p.method for p in points) if m != SPZ)
    lines = [
        f"| scene | {' | '.join(methods)} |",
        f"| --- |{' ---: |' * len(methods)}",
    ]
    for scene in scenes:
        curves = {
            method: [
                (p.bytes, p.psnr) for p in points if (p.scene, p.method) == (scene, method)
            ]
            for method in (reference, *methods)
        }
        found = [bjontegaard_rate(curves[reference], curves[method]) for method in methods]
        cells = ["-" if rate is None else f"{rate:+.1f} %" for rate in found]
        lines.append(f"| {scene} | {' | '.join(cells)} |")
    return lines


def table(points: list[Point]) -> list[str]:
    """All points of a scene, and that of L-GSC where it was measured."""
    others = [LGSC[s] for s in (points[0].scene,) if s in LGSC]
    return [
        "| method | lambda | bytes | PSNR | encode | decode |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        *(
            f"| {p.method} | {p.lam} | {p.bytes:,} | {p.psnr:.2f} dB | {_cost(p.encode)} "
            f"| {_cost(p.decode)} |"
            for p in points
        ),
        *(f"| {LGSC_NAME} | - | {size:,} | {psnr:.2f} dB | - | - |" for size, psnr in others),
    ]


def plot(points: list[Point], target: Path) -> None:
    """Curves of all methods, a panel for each scene; other codecs are points."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    scenes = list(dict.fromkeys(p.scene for p in points))
    across = min(COLUMNS, len(scenes))
    down = -(-len(scenes) // across)
    with rc_context(STYLE):
        figure = Figure(figsize=(4 * across, 3.4 * down + 0.5), layout="constrained")
        panels = figure.subplots(down, across, squeeze=False).ravel()
        for axes, scene in zip(panels, scenes, strict=False):
            _panel(axes, [p for p in points if p.scene == scene])
        for axes in panels[len(scenes) :]:
            axes.set_axis_off()
        for axes in panels[::across]:
            axes.set_ylabel("PSNR, dB")
        names = {line.get_label(): line for axes in panels for line in axes.lines}
        figure.legend(names.values(), names.keys(), loc="outside lower center", ncols=6)
        figure.savefig(target, metadata={"Date": None})


def _panel(axes: Any, points: list[Point]) -> None:
    """Of one scene."""
    curves: dict[str, list[tuple[int, float]]] = {}
    for point in points:
        curves.setdefault(point.method, []).append((point.bytes, point.psnr))
    if points[0].scene in LGSC:
        curves[LGSC_NAME] = [LGSC[points[0].scene]]
    colours = map(series_colour, count())
    for name, curve in curves.items():
        style = MARKS.get(name, "o-")
        colour = COLOURS["ink" if name in MARKS else next(colours)]
        x, y = zip(*sorted(curve), strict=True)
        axes.plot(x, y, style, color=colour, markersize=4, label=name)
    sizes = [size for curve in curves.values() for size, _ in curve]
    scale_by_size(axes, sizes, TICKS)
    axes.set_title(points[0].scene)
    axes.tick_params(axis="x", labelsize=7)
    axes.grid(visible=True)


def _cost(value: Cost) -> str:
    return f"{value.cpu:.1f} s, {value.peak_mb:,.0f} MB"


HEAD = """# Methods side by side

Written by `{command}` with gscodec {version}.

Effort fast. PSNR of Gaussians is against renders of the source, mean over the views of
`cameras.json`; of checkpoints against their test photographs. Seconds are those of processors,
added up; memory is the peak of the process.

## Bytes against {reference} at equal PSNR

Bjontegaard rate over the range of PSNR that both curves share (`gscodec.report.curve`); `-`
where they share none, or the method does not code the kind.
"""

WHICH = """## Which one

- `auto`, the default, is `predict-gs` for anchors, and for Gaussians whose higher SH coefficients
  go together so well, in a sample, that a basis of the scene's own saves more than it takes. Else,
  and with `--effort instant`, it is `hemgs`.
- `hemgs` codes what the scene has, column by column, under laws that look at decoded neighbours.
- `ralhe` has latents on levels of the octree beside that: half a percent less or more, and slower.
- `hac` has a hash grid in place of neighbours: larger, and several times slower to train.
- `raw` keeps every bit.
"""


def document(points: list[Point]) -> str:
    """The page."""
    version = subprocess.check_output((*CLI, "--version"), text=True).split()[-1]
    given = [argument for argument in sys.argv[1:] if argument != "--go-on"]
    command = shlex.join(["python", "tests/benchmarks/methods.py", *given])
    parts = [HEAD.format(command=command, version=version, reference=points[0].method)]
    parts += [*rates(points), "", "![Curves](methods.svg)", "", WHICH]
    for scene, own in groupby(points, key=lambda p: p.scene):
        parts += [f"## {scene}", "", *table(list(own)), ""]
    return "\n".join(parts)


def kept(page: Path) -> list[Point]:
    """Of a former run."""
    rows = json.loads(page.with_suffix(".json").read_text())
    costs = ("encode", "decode")
    return [Point(**{**r, **{name: Cost(**r[name]) for name in costs}}) for r in rows]


def write(page: Path, points: list[Point]) -> None:
    """The page, and its numbers."""
    results = json.dumps([asdict(point) for point in points], indent=1)
    page.with_suffix(".json").write_text(results + "\n")
    plot(points, page.with_suffix(".svg"))
    page.write_text(document(points))


def main() -> None:
    """Measures, prints while it does, writes after each scene."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", nargs="+", default=SCENES)
    methods = [name for name in names() if name != "raw"]
    parser.add_argument("--methods", nargs="+", default=[*methods, SPZ])
    parser.add_argument("--lambdas", nargs="+", default=LAMBDAS)
    parser.add_argument("--out", type=Path, default=PAGE)
    parser.add_argument("--go-on", action="store_true", help="keep what is already in --out")
    args = parser.parse_args()
    if not JUDGE.exists():
        sys.exit(f"skipped: there is no judge at {JUDGE}")
    former = {(p.scene, p.method, p.lam): p for p in kept(args.out)} if args.go_on else {}
    points: list[Point] = []
    for name in args.scenes:
        scene = SHARED / "scenes" / name
        for method in args.methods:
            if method == SPZ and (scene / "cfg_args").exists():
                continue
            for lam in ["-"] if method == SPZ else args.lambdas:
                point = former.get((name, method, lam))
                if point is None:
                    with tempfile.TemporaryDirectory() as scratch:
                        point = measure(scene, method, lam, Path(scratch))
                points.append(point)
                print(name, *table([point])[2:], flush=True)
        write(args.out, points)


if __name__ == "__main__":
    main()
