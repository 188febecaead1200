"""``gscodec rd``: one scene at several rates, as a page, a picture and a table."""

from __future__ import annotations

import os
import sys
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gscodec.cli.effort import parse_seconds
from gscodec.cli.fitting import fitted
from gscodec.cli.jobs import only_job
from gscodec.cli.options import (
    MOST_VIEWS,
    AllowOutside,
    Effort,
    ForceViews,
    Iterations,
    Json,
    Output,
    Overwrite,
    Place,
    Quiet,
    TimeLimit,
    check_of_views,
)
from gscodec.cli.plans import before_curves, point
from gscodec.cli.session import Session
from gscodec.disk.files import STDIO, check_output, write_output
from gscodec.disk.scenes import Reading, load_scene, suffix_of
from gscodec.disk.views import choose_views
from gscodec.errors import UsageError
from gscodec.methods import DEFAULT, choices
from gscodec.report.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gscodec.anchors import Scene
    from gscodec.cli.estimate import Step
    from gscodec.rd import Job
    from gscodec.report.rd_result import RdResult

_LIBRARIES = ("matplotlib", "numba", "scipy")


def rd(
    source: Annotated[
        str,
        typer.Argument(metavar="IN", help="3DGS scene, as of encode, or .gsz, - for stdin."),
    ],
    place: Place = None,
    output: Output = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            metavar="|".join(choices()),
            help=f"May be repeated, one curve each. Default: {DEFAULT}.",
        ),
    ] = None,
    lambdas: Annotated[
        list[str] | None,
        typer.Option(
            "--lambda",
            metavar="FLOAT,...",
            help="Weights of bits against quality, one point each; may be repeated. Without, others "
            "too, until the quality of SPZ lies between two. "
            "Default: 5e-4,1e-3,2e-3,4e-3,8e-3.",
        ),
    ] = None,
    views: Annotated[
        str | None,
        typer.Option(
            "--views",
            metavar="PATH",
            help="Cameras, or the folder of a data set; default: virtual cameras.",
        ),
    ] = None,
    images: Annotated[
        str | None,
        typer.Option("--images", metavar="DIR", help="Folder of the photographs of --views."),
    ] = None,
    max_views: Annotated[
        int,
        typer.Option(
            "--max-views",
            metavar="N",
            min=1,
            max=MOST_VIEWS,
            help="Views to render at most, evenly over those there are. Default: 24.",
        ),
    ] = 24,
    effort: Effort = None,
    iterations: Iterations = None,
    time_limit: TimeLimit = None,
    no_spz: Annotated[
        bool, typer.Option("--no-spz", help="Do not measure SPZ beside the methods.")
    ] = False,
    png: Annotated[
        str | None,
        typer.Option("--png", metavar="PATH", help="Write the curves as a picture too."),
    ] = None,
    csv: Annotated[
        str | None, typer.Option("--csv", metavar="PATH", help="Write the points as CSV too.")
    ] = None,
    allow_outside: AllowOutside = False,
    force_views: ForceViews = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Measure a scene at several rates: bytes, PSNR and SSIM -> OUT.html."""
    check_of_views(views, images=images, force_views=force_views)
    _require_libraries()
    only = only_job(source, output, place)
    page = only.target(source, suffix_of(source), ".html")
    only.make_folder()
    targets = _checked_targets(source, (page, png, csv), overwrite=overwrite)
    seconds = None if time_limit is None else parse_seconds(time_limit)
    options = {"effort": effort, "iterations": iterations, "time_limit": seconds}

    from gscodec.rd import LAMBDAS, jobs, measure
    from gscodec.report.rd_result import SPZ, RdResult
    from gscodec.scene import GaussianScene

    given = {name: value for name, value in options.items() if value is not None}
    todo = jobs(method or (DEFAULT,), _lambdas(lambdas) or LAMBDAS, given)
    for job in todo:
        job.require()
    with Session(quiet=quiet) as session, redirect_stdout(sys.stderr):
        session.estimate.name = Path(source).name
        session.progress("read")
        loaded = load_scene(source, Reading(allow_outside=allow_outside))
        scene = loaded.scene
        session.progress("cameras")
        chosen = choose_views(
            (scene,),
            views,
            images,
            max_views,
            fit=lambda found: fitted(found, scene, source, force=force_views),
            allow_outside=allow_outside,
        )
        session.estimate.expect(before_curves(len(scene), len(chosen.cameras), SPZ))
        measured = measure(
            scene,
            todo,
            chosen.cameras,
            spz=not no_spz,
            progress=session.progress,
            bracket=lambdas is None,
            expecting=lambda more: session.estimate.extend(
                _plan(more, scene, len(chosen.cameras))
            ),
        )
        result = RdResult(
            source="stdin" if source == STDIO else Path(source).name,
            source_bytes=loaded.bytes,
            gaussians=len(scene),
            sh_degree=scene.sh_degree if isinstance(scene, GaussianScene) else None,
            views=measured.views,
            views_from=chosen.told(folders=False),
            points=measured.points,
            notes=(*loaded.notes, *chosen.notes, *measured.notes),
        )
        session.progress("write")
        files = _files(result, png=png is not None, csv=csv is not None)
    for target, content in zip(targets, files, strict=True):
        write_output(target, content, overwrite=overwrite)
    if not quiet:
        sys.stderr.write(printable(f"{source} -> {', '.join(targets)}") + "\n")
        sys.stderr.writelines(f"{line}\n" for line in result.lines())
        sys.stderr.write(f"  time       {session.seconds:.1f} s\n")
    if as_json:
        from gscodec.cli.outcome import report

        told = {"status": "done", "command": "rd", "input": source, "output": page}
        report({**told, **result.to_json()}, to_stderr=STDIO in targets)


def _plan(more: Sequence[Job], scene: Scene, views: int) -> list[Step]:
    from gscodec.anchors import AnchorScene

    anchors = isinstance(scene, AnchorScene)
    return [
        step
        for job in more
        for step in point(job.name, job.method, job.options, len(scene), views, anchors=anchors)
    ]


def _checked_targets(
    source: str, wanted: Sequence[str | None], *, overwrite: bool
) -> list[str]:
    """The outputs that are wanted, each of which can be written.

    Raises:
        UsageError: Two of them are the same, or one is the input.
        OutputError: One exists and ``overwrite`` is not set, or its folder is not there.
    """
    targets = [target for target in wanted if target is not None]
    if len({os.path.realpath(target) for target in targets}) < len(targets):
        names = printable(", ".join(targets))
        raise UsageError(f"outputs: found {names}, expected a file for each")
    for target in targets:
        check_output(source, target, overwrite=overwrite)
    return targets


def _require_libraries() -> None:
    """Refuses before the work what could not be rendered or drawn after it."""
    for name in _LIBRARIES:
        if find_spec(name) is None:
            raise UsageError(f"rd needs {name}; pip install 'gscodec[report]'")


def _lambdas(texts: Sequence[str] | None) -> list[float]:
    words = [word for text in texts or () for word in text.split(",")]
    try:
        return [float(word) for word in words]
    except ValueError as error:
        raise UsageError(
            f"--lambda: found {','.join(words)!r}, expected numbers such as 5e-4,2e-3"
        ) from error


def _files(result: RdResult, *, png: bool, csv: bool) -> list[bytes]:
    """In the order of the outputs."""
    from gscodec.report.rd_page import rd_html
    from gscodec.report.rd_plot import rd_png

    files = [rd_html(result)]
    if png:
        files.append(rd_png(result))
    if csv:
        files.append(result.to_csv())
    return files
