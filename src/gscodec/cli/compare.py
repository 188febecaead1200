"""``gscodec compare``: how far one scene is from another."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gscodec.cli.failures import failure_of
from gscodec.cli.fitting import fitted
from gscodec.cli.options import (
    MOST_VIEWS,
    AllowOutside,
    Background,
    ForceViews,
    Overwrite,
    Quiet,
    check_of_views,
    check_psnr,
    parse_background,
)
from gscodec.cli.plans import comparing
from gscodec.cli.session import Session
from gscodec.disk.files import STDIO, check_output, write_output
from gscodec.disk.scenes import LoadedScene, Reading, load_scene
from gscodec.disk.views import ChosenViews, choose_views
from gscodec.errors import GscodecError, SceneError, UsageError, VerifyError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from gscodec.anchors import AnchorScene
    from gscodec.camera import Camera
    from gscodec.comparison import Shown
    from gscodec.report.compare_result import CompareResult, Side, ViewQuality
    from gscodec.scene import GaussianScene

    Scene = GaussianScene | AnchorScene
    Photograph = Callable[[Camera], NDArray[np.float32]]

_USUAL_VIEWS = 24  # before it is known how many there are
_SHEET_ROWS = 12  # pictures of more views would take memory, and nobody looks at them


def compare(
    a: Annotated[
        str, typer.Argument(metavar="A", help="The reference: a scene as of encode, or .gsz.")
    ],
    b: Annotated[
        str,
        typer.Argument(metavar="B", help="What is judged: the like."),
    ],
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
        typer.Option(
            "--images",
            metavar="DIR",
            help="Photographs of the views: judge both scenes by them too.",
        ),
    ] = None,
    max_views: Annotated[
        int | None,
        typer.Option(
            "--max-views",
            metavar="N",
            min=1,
            max=MOST_VIEWS,
            help="Views to render at most, evenly over those there are. Default: all, or 24 "
            "virtual ones.",
        ),
    ] = None,
    background: Background = "0,0,0",
    lpips: Annotated[
        bool,
        typer.Option(
            "--lpips",
            help="LPIPS too; needs the package lpips and the weights of VGG on this machine.",
        ),
    ] = False,
    sheet: Annotated[
        str | None,
        typer.Option(
            "--sheet",
            metavar="PNG",
            help=f"Write a, b and their difference, of the {_SHEET_ROWS} worst views, the worst first.",
        ),
    ] = None,
    min_psnr: Annotated[
        float | None,
        typer.Option(
            "--min-psnr",
            metavar="DB",
            help="End with exit code 7 if the mean PSNR of b against a is lower.",
        ),
    ] = None,
    allow_outside: AllowOutside = False,
    force_views: ForceViews = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of tables.")] = False,
) -> None:
    """Compare two scenes: PSNR, SSIM and FLIP of renders, errors of attributes."""
    colour = parse_background(background)
    check_psnr(min_psnr)
    check_of_views(views, images=images, force_views=force_views)
    _check(a, b, lpips=lpips, sheet=sheet, overwrite=overwrite)

    from gscodec.comparison import (
        compare_pictures,
        drawn_apart,
        errors_between,
        require_finite,
    )
    from gscodec.report.compare_result import CompareResult

    with Session(quiet=quiet) as session, redirect_stdout(sys.stderr):
        session.estimate.name = f"{Path(a).name}, {Path(b).name}"
        session.progress("read")
        reading = Reading(allow_outside=allow_outside)
        first, second = load_scene(a, reading), load_scene(b, reading)
        require_finite(first.scene, a)
        require_finite(second.scene, b)
        second = _beside(second, first)
        scenes = (first.scene, second.scene)
        session.estimate.expect(comparing(max(map(len, scenes)), max_views or _USUAL_VIEWS))
        session.progress("cameras")
        chosen = choose_views(
            scenes,
            views,
            images,
            max_views,
            fit=lambda found: fitted(
                found, first.scene, a, force=force_views, background=colour
            ),
            allow_outside=allow_outside,
        )
        session.estimate.expect(comparing(max(map(len, scenes)), len(chosen.cameras)))
        pictures = compare_pictures(
            first.scene,
            second.scene,
            chosen.cameras,
            background=colour,
            photograph=None if images is None else _photograph(chosen, colour),
            lpips=lpips,
            keep=_SHEET_ROWS if sheet else 0,
            progress=session.progress,
        )
        session.progress("match")
        result = CompareResult(
            a=_side(a, first),
            b=_side(b, second),
            views_from=chosen.told(folders=True),
            background=colour,
            views=pictures.views,
            blank_views=pictures.blank,
            attributes=errors_between(first.scene, second.scene),
            notes=(
                *_notes("a", first),
                *_notes("b", second),
                *chosen.notes,
                *drawn_apart(first.scene, second.scene),
            ),
        )
        if sheet:
            session.progress("write")
            picture = _sheet(pictures.worst, (result.a.name, result.b.name))
            write_output(sheet, picture, overwrite=overwrite)
    problem = _problem(result, min_psnr)
    if as_json:
        _print_json(result, session, problem)
    elif not quiet:
        _print_tables(result)
    if problem:
        problem.told = as_json
        raise problem


def _check(
    a: str,
    b: str,
    *,
    lpips: bool,
    sheet: str | None,
    overwrite: bool,
) -> None:
    """Refuses before the work what could not be done after it."""
    if a == b == STDIO:
        raise UsageError("both scenes cannot come from stdin; name a file for one of them")
    if sheet == STDIO:
        raise UsageError("--sheet: stdout is for the report; name a file")

    from gscodec.comparison import require_libraries

    require_libraries(*(("PIL",) if sheet else ()))
    if lpips:
        from gscodec.render.perceptual import require_lpips

        require_lpips()
    if sheet:
        for source in (a, b):  # first of all it must be neither of them
            check_output(source, sheet, overwrite=True)
        check_output(STDIO, sheet, overwrite=overwrite)


def _photograph(chosen: ChosenViews, background: tuple[float, float, float]) -> Photograph:
    """Gives the photograph of each camera."""
    from gscodec.disk.photographs import read_photograph

    return lambda camera: read_photograph(chosen.photographs[camera.image], camera, background)


def _beside(loaded: LoadedScene[Scene], reference: LoadedScene[Scene]) -> LoadedScene[Scene]:
    """The scene relative to the origin of the other one, so that the same cameras see both."""
    return replace(loaded, scene=loaded.scene.relative_to(reference.scene.origin))


def _side(path: str, loaded: LoadedScene[Scene]) -> Side:
    from gscodec.anchors import AnchorScene
    from gscodec.report.compare_result import Side

    name = "stdin" if path == STDIO else Path(path).name or Path(path).resolve().name
    scene = loaded.scene
    if isinstance(scene, AnchorScene):
        return Side(name, loaded.bytes, None, None, len(scene), scene.offset_count)
    return Side(name, loaded.bytes, len(scene), scene.sh_degree)


def _notes(name: str, loaded: LoadedScene[Scene]) -> tuple[str, ...]:
    return tuple(f"{name}: {note}" for note in loaded.notes)


def _sheet(shown: Sequence[Shown], names: tuple[str, str]) -> bytes:
    """The worst first; FLIP's map too where it is installed."""
    from gscodec.render.flip import error_map
    from gscodec.report.sheet import difference_sheet

    worst = sorted(shown, key=lambda each: each.view.quality.psnr)
    return difference_sheet(
        [(each.a, each.b) for each in worst],
        captions=[_caption(each.view) for each in worst],
        names=names,
        seen=error_map if find_spec("flip_evaluator") else None,
    )


def _caption(view: ViewQuality) -> str:
    found = view.quality
    flip = "" if found.flip is None else f", FLIP {found.flip:.4f}"
    return f"{view.name}: {found.psnr:.2f} dB, SSIM {found.ssim:.4f}{flip}"


def _print_json(result: CompareResult, session: Session, problem: GscodecError | None) -> None:
    from gscodec.cli.outcome import report

    values = {**result.to_json(), "stages": session.stages, "seconds": session.seconds}
    if problem:
        values["error"] = failure_of(problem).to_json()
    status = "failed" if problem else "done"
    report({"status": status, "command": "compare", **values})


def _print_tables(result: CompareResult) -> None:
    from gscodec.cli.tables import print_tables
    from gscodec.report.compare_tables import comparison_tables

    print_tables(comparison_tables(result))


def _problem(result: CompareResult, min_psnr: float | None) -> GscodecError | None:
    """What is wrong with a b that is worse than that, or was seen in no view."""
    if min_psnr is None:
        return None
    if result.mean is None:
        return SceneError("--min-psnr: found nothing to be seen of either scene")
    if result.mean.psnr >= min_psnr:
        return None
    return VerifyError(
        f"{result.b.name} against {result.a.name}: mean PSNR {result.mean.psnr:.3f} dB, "
        f"expected at least {min_psnr:g}"
    )
