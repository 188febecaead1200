"""``gscodec decode``: a .gsz -> a .ply of Gaussians, or a checkpoint folder of anchors.

Strategy: what is in the file decides what can be written, so the header is read before the
output is checked, and everything is checked before the work.
"""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gscodec.cli.fitting import fitted, tell
from gscodec.cli.options import (
    AllowOutside,
    ForceViews,
    Json,
    Overwrite,
    Quiet,
    Threads,
    check_of_views,
)
from gscodec.cli.outcome import Run, Sizes
from gscodec.cli.session import Session, limit_threads
from gscodec.disk.checkpoints import check_folder, write_folder
from gscodec.disk.files import (
    STDIO,
    check_output,
    named,
    output_path,
    read_coded,
    write_output,
)
from gscodec.disk.originals import may_overwrite
from gscodec.disk.saving import check_suffix, foreign_suffixes, notes_on_checkpoint
from gscodec.disk.views import read_views
from gscodec.errors import UsageError
from gscodec.report.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from gscodec.anchors import AnchorScene
    from gscodec.bake.baking import Baked
    from gscodec.container import Inspection
    from gscodec.disk.views import Views
    from gscodec.payload import SceneKind
    from gscodec.scene import GaussianScene


def decode(
    source: Annotated[str, typer.Argument(metavar="IN.gsz", help="Coded scene, - for stdin.")],
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="PATH",
            help="File to write, .ply, .spz, .splat, .ksplat, .compressed.ply or .sog, - for a "
            ".ply on stdout; of anchors the folder to write. Default: the input's name with "
            ".decoded.ply, of anchors with .decoded, instead of .gsz.",
        ),
    ] = None,
    bake: Annotated[
        bool,
        typer.Option(
            "--bake",
            help="Turn anchors into Gaussians that look nearly the same, for any viewer of "
            "3DGS: OUT is a .ply. Takes minutes.",
        ),
    ] = False,
    views: Annotated[
        str | None,
        typer.Option(
            "--views",
            metavar="PATH",
            help="For --bake: cameras to look through, a file or a data set's folder. "
            "Default: virtual cameras.",
        ),
    ] = None,
    images: Annotated[
        str | None,
        typer.Option(
            "--images",
            metavar="DIR",
            help="Folder of the photographs of --views, for their sizes.",
        ),
    ] = None,
    allow_outside: AllowOutside = False,
    force_views: ForceViews = False,
    overwrite: Overwrite = False,
    replace_source: Annotated[
        bool,
        typer.Option(
            "--replace-source",
            help="Replace the output even if it is the original that IN.gsz was made from.",
        ),
    ] = False,
    threads: Threads = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Give a scene back: IN.gsz -> OUT.ply, or OUT, a checkpoint folder."""
    limit_threads(threads)
    _check_options(bake=bake, views=views, images=images, force_views=force_views)
    if (output or source) == STDIO:  # before stdin is waited for
        check_output(source, STDIO, overwrite=overwrite)

    from gscodec.anchors import AnchorScene
    from gscodec.checkpointio import write_checkpoint
    from gscodec.codec import decode as decode_bytes
    from gscodec.container import inspect
    from gscodec.interchange import format_of, write_foreign

    baked = None
    with Session(quiet=quiet) as session:
        session.progress("read")
        data = read_coded(source)
        with named(source):
            inspection = inspect(data)
        header = inspection.header
        target = _target(source, output, header.kind, bake=bake)
        overwrite = may_overwrite(
            target, inspection.meta, overwrite=overwrite, replace_source=replace_source
        )
        _check_target(source, target, header.kind, bake=bake, overwrite=overwrite)
        found = None
        if views is not None:  # before the work, as far as that can be
            found = read_views(views, images, allow_outside=allow_outside)
        with redirect_stdout(sys.stderr):
            with named(source):
                session.progress("decode")
                scene = decode_bytes(data, session.progress, threads)
            if bake and isinstance(scene, AnchorScene):
                if found is not None:
                    found = fitted(found, scene, source, force=force_views)
                    tell(found.notes, quiet=quiet)
                baked = _bake(source, scene, found, session.progress)
                scene = baked.scene
            if isinstance(scene, AnchorScene):
                result: bytes | dict[str, bytes] = write_checkpoint(scene)
                notes = notes_on_checkpoint(scene)
            elif foreign := format_of(target):
                result, notes = write_foreign(scene, foreign)
                notes += _no_comments(inspection, foreign.suffix)
            else:
                result, notes = _ply(scene, inspection)
        session.progress("write")
        size = _write(target, result, overwrite=overwrite)
    run = Run("decode", source, target, session, quiet=quiet, as_json=as_json)
    sizes = Sizes(read=len(data), written=size, coded=len(data))
    if baked is None:
        run.finish(header, sizes, notes)
    else:
        told, report = _told(baked)
        views_notes = found.notes if found else ()
        notes = (*views_notes, *told, *notes)
        run.finish(header, sizes, notes, report, gaussians=len(baked.scene))


def _ply(scene: GaussianScene, inspection: Inspection) -> tuple[bytes, tuple[str, ...]]:
    """The .ply, with the comments of the source, and a note where not all can be written."""
    from gscodec.sceneio import renamed_extras, write_ply
    from gscodec.sceneio.comments import remembered_comments

    told = remembered_comments(inspection.meta)
    data, notes = (
        write_ply(scene, comments=told.comments, infos=told.infos),
        renamed_extras(scene),
    )
    if inspection.meta_problem is not None:
        return data, (*notes, _damaged_comments(inspection.meta_problem))
    if not told.left_out:
        return data, notes
    count = told.left_out + len(told.comments) + len(told.infos)
    return data, (
        *notes,
        f"left out {told.left_out} of {count} comments: not ASCII, or too long for a header",
    )


def _damaged_comments(problem: str) -> str:
    return f"left out all comments: meta is damaged, {problem}"


def _no_comments(inspection: Inspection, suffix: str) -> tuple[str, ...]:
    """A note where the source had comments."""
    from gscodec.sceneio.comments import remembered_comments

    if inspection.meta_problem is not None:
        return (_damaged_comments(inspection.meta_problem),)
    told = remembered_comments(inspection.meta)
    count = told.left_out + len(told.comments) + len(told.infos)
    return (f"left out {count} comments; {suffix} holds none",) if count else ()


def _check_options(
    *, bake: bool, views: str | None, images: str | None, force_views: bool
) -> None:
    """Refuses what makes no sense whatever the file holds."""
    if views is not None and not bake:
        raise UsageError("--views: needs --bake")
    check_of_views(views, images=images, force_views=force_views)
    for name in ("numba", "torch"):
        if bake and find_spec(name) is None:
            raise UsageError(f"--bake: needs {name}; pip install 'gscodec[encode]'")


def _target(source: str, output: str | None, kind: SceneKind, *, bake: bool) -> str:
    """Where to write what a file of ``kind`` gives.

    The default is never the name of a source that `encode` took by its own default.
    """
    from gscodec.payload import SceneKind

    name = printable(source)
    if kind is SceneKind.GAUSSIANS and bake:
        raise UsageError(f"{name}: holds Gaussians already; leave out --bake")
    if kind is SceneKind.GAUSSIANS or bake:
        target = output_path(source, output, ".gsz", ".decoded.ply")
        check_suffix(target)
        return target
    target = output_path(source, output, ".gsz", ".decoded")
    if target == STDIO or Path(target).suffix.lower() in {".ply", *foreign_suffixes()}:
        found = "stdout" if target == STDIO else printable(target)
        raise UsageError(
            f"{name}: holds a checkpoint, found {found} as output, expected a folder; name one "
            "with -o, or make a .ply of Gaussians with --bake"
        )
    return target


def _check_target(
    source: str, target: str, kind: SceneKind, *, bake: bool, overwrite: bool
) -> None:
    """Makes sure that what a file of ``kind`` gives can be written there."""
    from gscodec.payload import SceneKind

    if kind is SceneKind.GAUSSIANS or bake:
        check_output(source, target, overwrite=overwrite)
    else:
        check_folder(target, overwrite=overwrite)


def _bake(
    source: str,
    scene: AnchorScene,
    views: Views | None,
    progress: Callable[[str, float], None],
) -> Baked:
    from gscodec.bake.baking import bake
    from gscodec.comparison import require_finite

    require_finite(scene, source)
    return bake(scene, views.cameras if views else (), progress=progress)


def _told(baked: Baked) -> tuple[tuple[str, ...], dict[str, object]]:
    """Notes and report."""
    notes = (f"left out {baked.unseen} offsets that no camera sees",) if baked.unseen else ()
    report = {"psnr": baked.psnr, "views": baked.note, "unseen": baked.unseen}
    return notes, {"baked": report}


def _write(target: str, result: bytes | dict[str, bytes], *, overwrite: bool) -> int:
    """Writes a file or a folder; its bytes."""
    if isinstance(result, bytes):
        write_output(target, result, overwrite=overwrite)
        return len(result)
    write_folder(target, result, overwrite=overwrite)
    return sum(map(len, result.values()))
