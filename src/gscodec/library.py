"""For programs that import gscodec: paths and scenes, as the command line treats them.

Rule to remember: cameras are in the coordinates of the source, as files have them; only what
draws a scene (`gscodec.render`) takes them relative to ``scene.origin``.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Unpack, cast

from gscodec.anchors import AnchorScene
from gscodec.arguments import cameras_given, scene_given
from gscodec.codec import encode_with_report
from gscodec.comparison import (
    compare_pictures,
    drawn_apart,
    errors_between,
    require_finite,
    require_libraries,
)
from gscodec.disk.checkpoints import check_folder, write_folder
from gscodec.disk.files import STDIO, check_output, write_output
from gscodec.disk.saving import (
    check_suffix,
    foreign_suffixes,
    gaussian_file,
    notes_on_checkpoint,
)
from gscodec.disk.scenes import LoadedScene, Reading, load_scene
from gscodec.disk.views import read_views
from gscodec.errors import GscodecError, UsageError
from gscodec.methods import DEFAULT
from gscodec.notes import Note, note_of
from gscodec.report.compare_result import CompareResult, Side
from gscodec.words import described

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gscodec.anchors import Scene
    from gscodec.arguments import EncodeOptions
    from gscodec.camera import Camera
    from gscodec.scene import GaussianScene

_VIRTUAL = 24  # cameras
_ARGUMENT = re.compile(r"(?:encode )?--(overwrite|keep-extra|drop-invalid)\b")


@dataclass(frozen=True)
class Saved:
    """What `save` wrote.

    Attributes:
        bytes: Size of the file, or of all files of a folder.
        notes: One line for each thing that was changed, left out or rounded.
        report: Of a .gsz, what `gscodec.Encoded` has.
    """

    bytes: int
    notes: tuple[str, ...]
    report: dict[str, object] = field(default_factory=dict)


def load(
    path: str | PathLike[str], *, keep_extra: bool = False, drop_invalid: bool = False
) -> Scene:
    """The scene of a file or folder: .gsz, .ply, and whatever `gscodec encode` reads.

    Args:
        path: A file, or the folder of a 3DGS, Scaffold-GS or HAC training.
        keep_extra: Whether vertex properties unknown to 3DGS are kept.
        drop_invalid: Whether Gaussians with NaN or infinity are dropped, and not refused.

    Raises:
        InputError: It cannot be read.
        SceneError: It is no complete scene of finite values.
        FormatError: A .gsz is damaged.
        UnsupportedError: A .gsz needs something that this version lacks.
        UsageError: ``path`` is none, or a package that reads its format is not installed.
    """
    return load_with_report(path, keep_extra=keep_extra, drop_invalid=drop_invalid).scene


def load_with_report(
    path: str | PathLike[str], *, keep_extra: bool = False, drop_invalid: bool = False
) -> LoadedScene[Scene]:
    """As `load`, with the bytes read, notes on what was changed or left out, and conventions."""
    with _for_programs():
        found = load_scene(
            _path(path), Reading(keep_extra=keep_extra, drop_invalid=drop_invalid)
        )
    return replace(found, notes=tuple(map(_as_note_for_programs, found.notes)))


def save(
    scene: Scene,
    path: str | PathLike[str],
    *,
    overwrite: bool = False,
    method: str = DEFAULT,
    **options: Unpack[EncodeOptions],
) -> Saved:
    """Writes ``scene``: at once and completely, or not at all.

    Args:
        scene: What to write.
        path: The suffix decides: .gsz (encoded), .ply, .spz, .splat, .ksplat, .compressed.ply,
            .sog; anchors go to a .gsz or to the folder of a checkpoint.
        overwrite: Whether what exists there is replaced; of folders, nothing but a checkpoint.
        method: Of a .gsz, as for `gscodec.encode`.
        options: Of a .gsz, as for `gscodec.encode`.

    Raises:
        OutputError: It exists already, or the system refuses.
        UsageError: No scene, no path, or a suffix that cannot be written.
        SceneError: The format, or the method, cannot hold the scene.
    """
    with _for_programs():
        return _saved(
            scene_given(scene), _path(path), overwrite=overwrite, method=method, options=options
        )


def _saved(
    scene: Scene, target: str, *, overwrite: bool, method: str, options: EncodeOptions
) -> Saved:
    coded = Path(target).suffix.lower() == ".gsz"
    if options and not coded:
        raise UsageError(f"{target}: options are for a .gsz, found {', '.join(options)}")
    if isinstance(scene, AnchorScene) and not coded:
        return _save_checkpoint(scene, target, overwrite=overwrite)
    if not coded:
        check_suffix(target)
    check_output(STDIO, target, overwrite=overwrite)  # there is no source to be replaced
    report: dict[str, object] = {}
    if coded:
        made = encode_with_report(scene, method, **options)
        data, notes, report = made.data, made.notes, made.report
    else:
        data, notes = gaussian_file(cast("GaussianScene", scene), target)
    write_output(target, data, overwrite=overwrite)
    return Saved(len(data), notes, report)


def _save_checkpoint(scene: AnchorScene, target: str, *, overwrite: bool) -> Saved:
    from gscodec.checkpointio import write_checkpoint

    if Path(target).suffix.lower() in {".ply", *foreign_suffixes()}:
        raise UsageError(
            f"{target}: anchors are no Gaussians, expected a .gsz or a folder; gscodec decode "
            "--bake makes Gaussians of them"
        )
    check_folder(target, overwrite=overwrite)
    files = write_checkpoint(scene)
    write_folder(target, files, overwrite=overwrite)
    return Saved(sum(map(len, files.values())), notes_on_checkpoint(scene))


def load_cameras(path: str | PathLike[str]) -> tuple[Camera, ...]:
    """The cameras of a file or of the folder of a data set, as `gscodec encode --views` has them.

    Raises:
        InputError: There is no such file, or no cameras in the folder.
        SceneError: The cameras are damaged.
        UnsupportedError: A lens is no pinhole with OpenCV's k1, k2, p1, p2.
    """
    return read_views(_path(path)).cameras


def virtual_cameras(scene: Scene, count: int = _VIRTUAL) -> tuple[Camera, ...]:
    """At most ``count`` cameras that see all of ``scene`` that a viewer may see, the best first.

    Raises:
        UsageError: ``scene`` is none.
    """
    from gscodec.render.virtual import virtual_cameras

    x, y, z = scene_given(scene).origin or (0.0, 0.0, 0.0)
    return tuple(c.relative_to((-x, -y, -z)) for c in virtual_cameras(scene, count).cameras)


def compare(
    a: Scene,
    b: Scene,
    cameras: Sequence[Camera] | None = None,
    *,
    background: tuple[float, float, float] = (0.0, 0.0, 0.0),
    lpips: bool = False,
) -> CompareResult:
    """How far ``b`` is from ``a``, the reference: in pictures, and attribute by attribute.

    Args:
        a: The reference.
        b: What is judged.
        cameras: None takes 24 virtual ones.
        background: Behind the Gaussians, R, G, B, 0 to 1.
        lpips: Whether LPIPS is measured; see `gscodec compare --lpips`.

    Raises:
        UsageError: One is no scene, there is no camera, or a package is not installed.
        SceneError: A value is not finite, or no camera sees anything.
    """
    a, b = scene_given(a, "a"), scene_given(b, "b")
    given = None if cameras is None else cameras_given(cameras)
    require_libraries()
    require_finite(a, "a")
    require_finite(b, "b")
    views = virtual_cameras(a if len(a) else b) if given is None else given
    named = f"{len(views)} {'virtual' if cameras is None else 'given'} cameras"
    second = b.relative_to(a.origin)
    pictures = compare_pictures(
        a,
        second,
        [camera.relative_to(a.origin) for camera in views],
        background=background,
        photograph=None,
        lpips=lpips,
        keep=0,
        progress=lambda *_: None,
    )
    return CompareResult(
        a=_side("a", a),
        b=_side("b", b),
        views_from=named,
        background=background,
        views=pictures.views,
        blank_views=pictures.blank,
        attributes=errors_between(a, second),
        notes=drawn_apart(a, b),
    )


def _side(name: str, scene: Scene) -> Side:
    if isinstance(scene, AnchorScene):
        return Side(name, None, None, None, len(scene), scene.offset_count)
    return Side(name, None, len(scene), scene.sh_degree)


@contextmanager
def _for_programs() -> Iterator[None]:
    """Errors name arguments in place of the options that the command line has for them."""
    try:
        yield
    except GscodecError as error:
        error.args = (_in_words_of_programs(str(error)),)
        raise


def _in_words_of_programs(text: str) -> str:
    return _ARGUMENT.sub(lambda found: f"{found[1].replace('-', '_')}=True", text)


def _as_note_for_programs(note: str) -> Note:
    told = note_of(note)
    text = _in_words_of_programs(told)
    return Note(text, told.code, changed=told.changed, **told.numbers)


def _path(path: object) -> str:
    if isinstance(path, (str, PathLike)) and isinstance(named := fspath(path), str):
        if named == STDIO:
            raise UsageError("path: found '-', expected the name of a file or folder")
        return named
    raise UsageError(f"path: found {described(path)}, expected a text or a pathlib.Path")
