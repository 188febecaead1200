"""``gscodec cameras``: where to look at a scene from, chosen from the scene alone."""

from __future__ import annotations

import re
import sys
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gscodec.cli.jobs import only_job
from gscodec.cli.options import AllowOutside, Overwrite, Place, Quiet
from gscodec.cli.session import Session
from gscodec.disk.files import STDIO, check_output, write_output
from gscodec.disk.scenes import Reading, load_scene, suffix_of
from gscodec.errors import SceneError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gscodec.anchors import AnchorScene
    from gscodec.camera import Camera
    from gscodec.scene import GaussianScene

_MOST_CAMERAS = 1000
_PREVIEW_EDGE = 320  # pixels


def cameras(
    source: Annotated[
        str, typer.Argument(metavar="SCENE", help="A scene, as of encode, or .gsz.")
    ],
    place: Place = None,
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="PATH",
            help="JSON list of cameras to write, - for stdout, or DIR/ to write into; default: "
            "the input's name with the suffix .cameras.json.",
        ),
    ] = None,
    preview: Annotated[
        str | None,
        typer.Option("--preview", metavar="PNG", help="Write small pictures of all views."),
    ] = None,
    count: Annotated[
        int,
        typer.Option(
            "--count", metavar="N", min=1, max=_MOST_CAMERAS, help="How many cameras."
        ),
    ] = 48,
    size: Annotated[
        str, typer.Option("--size", metavar="WxH", help="Of the pictures, in pixels.")
    ] = "640x480",
    allow_outside: AllowOutside = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Find views that show all of a scene: SCENE -> cameras.json."""
    width, height = _size(size)
    old = suffix_of(source) or Path(source).suffix.lower()
    job = only_job(source, output, place)
    target = job.target(source, old, ".cameras.json")
    job.make_folder()
    _check(source, target, preview, overwrite=overwrite)

    from gscodec.cameraio import write_cameras
    from gscodec.render.virtual import virtual_cameras

    with Session(quiet=quiet) as session, redirect_stdout(sys.stderr):
        session.estimate.name = Path(source).name
        session.progress("read")
        scene = load_scene(source, Reading(allow_outside=allow_outside)).scene
        session.progress("cameras")
        views = virtual_cameras(scene, count, width, height)
        if not views.cameras:
            raise SceneError(f"{source}: found {views.note}, so no camera can look at it")
        sheet = b"" if preview is None else _preview(scene, views.cameras, session.progress)
        session.progress("write")
        x, y, z = scene.origin or (0.0, 0.0, 0.0)
        in_source = tuple(c.relative_to((-x, -y, -z)) for c in views.cameras)
    write_output(target, write_cameras(in_source), overwrite=overwrite)
    if preview is not None:
        write_output(preview, sheet, overwrite=overwrite)
    if not quiet:
        seen = f"{100 * views.seen:.1f} % of all opacity is on Gaussians that they see"
        sys.stderr.write(f"{len(views.cameras)} cameras for {views.note}; {seen}\n")


def _size(text: str) -> tuple[int, int]:
    from gscodec.camera import MAX_EDGE, MAX_PIXELS

    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text, re.ASCII)
    width, height = (int(match[1]), int(match[2])) if match else (0, 0)
    if not (1 <= width <= MAX_EDGE and 1 <= height <= MAX_EDGE):
        raise UsageError(
            f"--size: found {text!r}, expected WxH of 1 to {MAX_EDGE} pixels: 640x480"
        )
    if width * height > MAX_PIXELS:
        raise UsageError(f"--size: found {text!r}, expected at most {MAX_PIXELS} pixels in all")
    return width, height


def _check(source: str, target: str, preview: str | None, *, overwrite: bool) -> None:
    """Refuses before the work what could not be done after it."""
    if preview == STDIO:
        raise UsageError("--preview: stdout is not for pictures; name a file")
    for name in ("numba", *(("PIL",) if preview else ())):
        if find_spec(name) is None:
            raise UsageError(f"cameras needs {name}; pip install 'gscodec[render]'")
    check_output(source, target, overwrite=overwrite)
    if preview is not None:
        check_output(source, preview, overwrite=overwrite)
        if target != STDIO and Path(preview).resolve() == Path(target).resolve():
            raise UsageError("--preview: is the output too; name another file")


def _preview(
    scene: GaussianScene | AnchorScene,
    views: Sequence[Camera],
    progress: Callable[[str, float], None],
) -> bytes:
    from gscodec.cameraio import rescaled
    from gscodec.render import render
    from gscodec.render.conventions import conventions_of
    from gscodec.report.sheet import contact_sheet

    shrink = min(1.0, _PREVIEW_EDGE / max(views[0].width, views[0].height))
    width, height = (max(1, round(e * shrink)) for e in (views[0].width, views[0].height))
    how, pictures = conventions_of(scene), []
    for k, camera in enumerate(views):
        progress("render", k / len(views))
        pictures.append(render(scene, rescaled(camera, width, height), conventions=how))
    return contact_sheet(pictures, captions=[str(k) for k in range(len(views))])
