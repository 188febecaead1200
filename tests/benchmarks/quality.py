"""What the names of qualities give on real scenes, beside other codecs -> docs/quality.md, .json.

The table of the README is made of it too, between two comments.

Every encode and decode of gscodec is a process of its own through the command line, with one
thread; others run inside of this one. Quality is that of renders of the decoded scene against
renders of the source, by a judge that is no part of gscodec. Rows of a former run are kept with
--go-on.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
import textwrap
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import JUDGE, LGSC, LGSC_NAME, ROOT, SHARED, SPZ, judgement, usage_of

import gscodec
from gscodec._version import __version__
from gscodec.fit.options import QUALITIES, Options
from gscodec.interchange import decode_spz, encode_spz
from gscodec.report.curve import bytes_at

SCENES = ("mic", "fox", "plant", "playbot")
PAGE = ROOT / "docs" / "quality.md"
INSTANT, OURS = "instant", "gscodec"
SOG = "SOG"
README = ROOT / "README.md"
START, END = "<!-- of tests/benchmarks/quality.py -->", "<!-- end -->"


@dataclass(frozen=True)
class Row:
    """A codec on a scene.

    Attributes:
        scene: The folder of ../shared/scenes.
        codec: Of others the name; else gscodec and what was asked for.
        bytes: Of the file.
        source: Bytes of the .ply.
        gaussians: Of the scene.
        psnr: dB, mean over the views.
        worst: dB, of the worst view; None where nobody says.
        encode: Seconds of CPU time; None of others.
        decode: The same.
    """

    scene: str
    codec: str
    bytes: int
    source: int
    gaussians: int
    psnr: float
    worst: float | None = None
    encode: float | None = None
    decode: float | None = None


def judged(reference: Path, test: Path, scratch: Path) -> tuple[float, float]:
    """Mean and worst PSNR over the cameras beside ``reference``."""
    found = judgement(reference, test, reference.with_name("cameras.json"), scratch)
    return found["psnr"], found["worst_psnr"]


def run(*arguments: str | Path) -> float:
    """Runs gscodec; seconds of CPU time."""
    command = (sys.executable, "-m", "gscodec", *arguments, "--quiet", "--threads", "1")
    usage = usage_of(subprocess.Popen(command), shlex.join(map(str, command)))
    return usage.ru_utime + usage.ru_stime


def measure(source: Path, codec: str, scratch: Path) -> Row:
    """One row."""
    scene = gscodec.read_ply(source.read_bytes()).scene
    decoded = scratch / "decoded.ply"
    times: tuple[float | None, float | None] = (None, None)
    if codec == SPZ:  # `save` writes version 3, which more programs read
        coded = scratch / "coded.spz"
        coded.write_bytes(encode_spz(scene, version=4))
        gscodec.save(decode_spz(coded.read_bytes()), decoded)
    elif codec == SOG:
        coded = scratch / "coded.sog"
        gscodec.save(scene, coded)
        gscodec.save(gscodec.load(coded), decoded)
    else:
        coded, wanted = scratch / "coded.gsz", codec.removeprefix(f"{OURS} ")
        how = ("--effort", INSTANT) if wanted == INSTANT else ("--quality", wanted)
        encode = run("encode", source, "-o", coded, "--overwrite", *how)
        times = (encode, run("decode", coded, "-o", decoded, "--overwrite"))
    found = judged(source, decoded, scratch)
    sizes = (coded.stat().st_size, source.stat().st_size, len(scene))
    return Row(source.parent.name, codec, *sizes, *found, *times)


def reference(name: str, like: Row) -> Row:
    """The row of L-GSC."""
    size, psnr = LGSC[name]
    return Row(name, LGSC_NAME, size, like.source, like.gaussians, psnr)


def document(rows: list[Row]) -> str:
    """docs/quality.md."""
    default = next(q for q, lam in QUALITIES.items() if lam == Options().lam)
    lines = [
        "# Qualities by name, beside other codecs",
        "",
        f"Written by `python tests/benchmarks/quality.py` with gscodec {__version__}.",
        "",
        f"`--quality NAME` stands for a lambda; `{default}` is the default. PSNR compares renders of",
        "the decoded scene with renders of the source, over the cameras beside each scene: the mean",
        "over the views, and the worst view. Seconds are CPU time of whole processes with one",
        "thread, other work beside. Method and effort are the defaults; `instant` is `--effort",
        "instant`. SPZ and SOG are those of gaussforge with their defaults. L-GSC",
        "(qualcomm/lite-3Dgsplat-codec, level 2) was measured apart, by the same judge.",
        *lacking(rows),
        "",
        "## From lambda to dB",
        "",
        "| quality | lambda | " + " | ".join(SCENES) + " |",
        "| --- | ---: |" + " ---: |" * len(SCENES),
        *(
            lambdas(rows, quality)
            for quality in (*QUALITIES, INSTANT)
            if any(row.codec == f"{OURS} {quality}" for row in rows)
        ),
        "",
        "## At equal quality",
        "",
        "Bytes of gscodec at the PSNR of the other: log(bytes) linear in PSNR between the two",
        'qualities around it; "-" where they are not around it.',
        "",
        "| scene | codec | PSNR | bytes | gscodec there | ratio |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
        *equal(rows),
        "",
    ]
    for name in dict.fromkeys(row.scene for row in rows):
        own = [row for row in rows if row.scene == name]
        lines += [f"## {name}: {own[0].gaussians:,} Gaussians", "", *table(own), ""]
    return "\n".join(lines)


def lacking(rows: list[Row]) -> list[str]:
    """What was not measured, where a codec was measured on some scenes only."""
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row.codec, set()).add(row.scene)
    gaps = [
        f"{codec} on {', '.join(name for name in SCENES if name not in scenes)}"
        for codec, scenes in found.items()
        if len(scenes) < len(SCENES)
    ]
    told = f"Rows are kept from run to run, so that commits differ. Not measured: {'; '.join(gaps)}."
    return textwrap.wrap(told, 92) if gaps else []


def lambdas(rows: list[Row], quality: str) -> str:
    """One quality on all scenes."""
    cells = []
    for name in SCENES:
        found = [r for r in rows if (r.scene, r.codec) == (name, f"{OURS} {quality}")]
        cells.append(f"{found[0].psnr:.1f} dB, {found[0].bytes:,} B" if found else "-")
    lam = QUALITIES.get(quality, Options().lam)
    return f"| {quality} | {lam:g} | {' | '.join(cells)} |"


def equal(rows: list[Row]) -> list[str]:
    """Every other codec on every scene."""
    lines = []
    for row in rows:
        if row.codec.startswith(OURS):
            continue
        curve = [
            (float(r.bytes), r.psnr)
            for r in rows
            if r.scene == row.scene and r.codec.removeprefix(f"{OURS} ") in QUALITIES
        ]
        there = bytes_at(row.psnr, curve)
        cells = (f"{there:,.0f}", f"{there / row.bytes:.3f}") if there else ("-", "-")
        lines.append(
            f"| {row.scene} | {row.codec} | {row.psnr:.2f} dB | {row.bytes:,} "
            f"| {cells[0]} | {cells[1]} |"
        )
    return lines


def readme(rows: list[Row]) -> str:
    """The table of the README: everything as it comes, as far as it was measured."""
    default = next(q for q, lam in QUALITIES.items() if lam == Options().lam)
    ours = f"{OURS} {default}"
    found = {row.codec for row in rows}
    codecs = [codec for codec in (SOG, SPZ, LGSC_NAME, ours) if codec in found]
    names = ["scene", ".ply", *codecs[:-1], OURS, "encode", "decode"]
    lines = [f"| {' | '.join(names)} |", "| --- |" + " ---: |" * (len(names) - 1)]
    for name in SCENES:
        own = {row.codec: row for row in rows if row.scene == name}
        if ours not in own:
            continue
        cells = [f"{own[ours].source:,}"]
        for codec in codecs:
            row = own.get(codec)
            cells.append(f"{row.bytes:,}, {row.psnr:.2f} dB" if row else "")
        times = (own[ours].encode, own[ours].decode)
        cells += ["" if t is None else f"{t:.1f} s" for t in times]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def write(rows: list[Row]) -> None:
    """The page, what it is made of, and the table of the README."""
    PAGE.with_suffix(".json").write_text(
        json.dumps([asdict(row) for row in rows], indent=1) + "\n"
    )
    PAGE.write_text(document(rows))
    text = README.read_text()
    before, rest = text.split(START)
    README.write_text(f"{before}{START}\n{readme(rows)}\n{END}{rest.split(END)[1]}")


def table(rows: list[Row]) -> list[str]:
    """One scene."""
    source = rows[0].source
    lines = [
        "| codec | bytes | of the .ply | bytes per Gaussian | PSNR | worst view | encode | decode |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        f"| .ply | {source:,} | 1 | {source / rows[0].gaussians:.2f} | | | | |",
    ]
    for row in rows:
        worst = "" if row.worst is None else f"{row.worst:.2f} dB"
        times = ["" if t is None else f"{t:.1f} s" for t in (row.encode, row.decode)]
        lines.append(
            f"| {row.codec} | {row.bytes:,} | 1/{source / row.bytes:.1f} "
            f"| {row.bytes / row.gaussians:.2f} | {row.psnr:.2f} dB | {worst} "
            f"| {times[0]} | {times[1]} |"
        )
    return lines


def main() -> None:
    """Measures, prints while it does, writes Markdown and JSON after every row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", nargs="+", default=SCENES)
    parser.add_argument("--qualities", nargs="+", default=(*QUALITIES, INSTANT))
    parser.add_argument("--go-on", action="store_true", help="keep the rows that there are")
    given = parser.parse_args()
    if not JUDGE.exists():
        raise SystemExit(f"skipped: there is no {SHARED} with scenes and judge")
    kept = PAGE.with_suffix(".json")
    rows = (
        [Row(**r) for r in json.loads(kept.read_text())]
        if given.go_on and kept.exists()
        else []
    )
    known = {(row.scene, row.codec) for row in rows}
    # SOG takes longest: its tables are clustered anew for every scene.
    codecs = [SPZ, *(f"{OURS} {quality}" for quality in given.qualities), SOG]
    order = [SPZ, SOG, LGSC_NAME, *(f"{OURS} {q}" for q in (INSTANT, *QUALITIES))]
    for codec in codecs:
        for name in given.scenes:
            if (name, codec) in known:
                continue
            source = SHARED / "scenes" / name / "scene.ply"
            with tempfile.TemporaryDirectory() as scratch:
                rows.append(measure(source, codec, Path(scratch)))
            if codec == SPZ and name in LGSC and (name, LGSC_NAME) not in known:
                known.add((name, LGSC_NAME))
                rows.append(reference(name, rows[-1]))
            rows.sort(key=lambda r: (SCENES.index(r.scene), order.index(r.codec)))
            print(
                *table([r for r in rows if (r.scene, r.codec) == (name, codec)])[3:], flush=True
            )
            write(rows)


if __name__ == "__main__":
    main()
