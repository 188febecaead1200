"""Checkpoint folders <-> bytes.

Invariant, as in `files`: a folder given as output holds either what it held before or the
complete checkpoint, whatever happens in between. One exception: replacing a folder takes two
renames, and a power cut between them leaves the old one beside it, named .gscodec-*.old.
"""

from __future__ import annotations

import os
import re
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gscodec.disk.atomic import temporary_folder
from gscodec.disk.files import reason
from gscodec.disk.signals import in_place
from gscodec.errors import GscodecError, InputError, OutputError
from gscodec.notes import Note
from gscodec.report.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MAX_SCENE_BYTES = 1 << 35  # 100 million anchors
MAX_OTHER_BYTES = 1 << 28  # HAC's grids take 10 MB
_ITERATION = re.compile(r"iteration_(0|[1-9][0-9]{0,8})")
_RANK = re.compile(r"(.+)_rank[0-9]+(\.[a-z]+)", re.ASCII)
_HEADER_BYTES = 1 << 16
_NAMES_SHOWN = 8


def read_folder(path: str, *, allow_outside: bool = False) -> dict[str, bytes]:
    """The files of a checkpoint that reading it needs: of several iterations, the highest.

    Args:
        path: A model folder, or a folder iteration_N.
        allow_outside: Whether links may lead out of it.

    Returns:
        Path relative to the model folder, with "/" -> content.

    Raises:
        InputError: A file is missing, leads out of the folder, is too large, or may not be read.
    """
    from gscodec.checkpointio.layout import choose_files

    root = Path(path)
    with _readable(path):
        places = _places(root)
        wanted = choose_files(places).names()
        within = None if allow_outside else root.resolve()
        return {name: _read(places[name], within) for name in wanted if name in places}


def gaussians_in(path: str) -> str | None:
    """The .ply of Gaussians in the folder that INRIA's 3DGS training leaves, or None.

    Args:
        path: A model folder, of which the highest iteration counts, or a folder iteration_N.

    Returns:
        Path relative to the model folder; None where the .ply holds something else.

    Raises:
        InputError: It may not be read.
    """
    from gscodec.checkpointio.layout import SCENE_FILE, choose_files
    from gscodec.sceneio.foreign import names_in_header

    with _readable(path):
        places = _places(Path(path))
        name = choose_files(places).folder + SCENE_FILE
        if name not in places or not places[name].is_file():
            return None
        with places[name].open("rb") as file:
            header = names_in_header(file.read(_HEADER_BYTES))
    return name if b" f_dc_0" in header and b" f_anchor_feat_" not in header else None


def read_gaussians(path: str, name: str, *, allow_outside: bool) -> bytes:
    """The .ply ``name``, found by `gaussians_in`.

    Raises:
        InputError: It leads out of the folder, is too large, or may not be read.
    """
    root = Path(path)
    with _readable(path):
        return _read(_places(root)[name], None if allow_outside else root.resolve())


@contextmanager
def _readable(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{printable(path)}: cannot be read: {reason(error)}") from error


def _places(root: Path) -> dict[str, Path]:
    """What may be read of a folder: path relative to the model folder, with "/" -> place."""
    from gscodec.checkpointio.layout import SCENE_FILE, choose_files, iteration_folder

    if (root / SCENE_FILE).exists():
        number = _ITERATION.fullmatch(root.resolve().name)
        folder = iteration_folder(int(number[1])) if number else ""
        return {folder + entry.name: entry for entry in root.iterdir()}
    entries = [*root.iterdir(), *root.glob(f"point_cloud/iteration_*/{SCENE_FILE}")]
    chosen = choose_files(e.relative_to(root).as_posix() for e in entries)
    entries += root.glob(f"{chosen.folder}*") if chosen.folder else []
    return {e.relative_to(root).as_posix(): e for e in entries}


def _read(file: Path, within: Path | None) -> bytes:
    """The content of ``file``; a link in a stranger's folder must not fetch what is outside."""
    name = printable(str(file))
    if within is not None and not file.resolve().is_relative_to(within):
        raise InputError(
            f"{name}: is a link that leads out of the folder; copy the file, or follow the "
            "link with --allow-outside"
        )
    if not file.is_file():
        raise InputError(f"{name}: is not a file")
    size = file.stat().st_size
    largest = MAX_SCENE_BYTES if file.suffix == ".ply" else MAX_OTHER_BYTES
    if size > largest:
        raise InputError(f"{name}: found {size} bytes, expected at most {largest}")
    return file.read_bytes()


def refuse_one_of_many(path: str) -> None:
    """Refuses what is a part of a scene: networks, or the splats of one process of several.

    gsplat's trainer writes ckpt_STEP_rankN.pt, and on several GPUs each holds a part.

    Raises:
        InputError: ``path`` is one of several.
    """
    from gscodec.checkpointio.layout import ITERATION_FILES, SCENE_FILE

    file = Path(path)
    if file.name in ITERATION_FILES and file.with_name(SCENE_FILE).exists():
        raise InputError(
            f"{printable(path)}: is a part of a Scaffold-GS or HAC checkpoint, expected all of "
            "it; pass its folder"
        )
    match = _RANK.fullmatch(file.name)
    if not match:
        return
    others = [
        entry.name
        for entry in sorted(file.parent.glob(f"*_rank*{match[2]}"))
        if entry != file and entry.name.startswith(f"{match[1]}_rank")
    ]
    if others:
        raise InputError(
            f"{printable(path)}: is one part of a scene, found {printable(', '.join(others))} "
            "beside it; export the whole scene as a .ply from the trainer"
        )


def note_on_others(path: str, files: Iterable[str]) -> tuple[str, ...]:
    """One line on what the folder ``path`` has besides ``files``, if there is anything."""
    from gscodec.checkpointio.layout import SCENE_FILE

    root = Path(path)
    inside = not (root / SCENE_FILE).exists()
    read = {root / (name if inside else Path(name).name) for name in files}
    others = [entry.relative_to(root).as_posix() for entry in _others(root, read)]
    if not others:
        return ()
    more = len(others) - _NAMES_SHOWN
    tail = f" and {more} more" if more > 0 else ""
    told = f"left out {printable(', '.join(others[:_NAMES_SHOWN]))}{tail}"
    return (Note(told, "files-left-out", changed=False, files=len(others)),)


def _others(folder: Path, read: set[Path]) -> Iterator[Path]:
    """What is not in ``read``: folders as a whole where nothing in them is."""
    above = {parent for file in read for parent in file.parents}
    for entry in sorted(folder.iterdir()):
        if entry in above:
            yield from _others(entry, read)
        elif entry not in read:
            yield entry


def check_folder(path: str, *, overwrite: bool) -> None:
    """Refuses a folder that could not be written at the end of the work.

    Raises:
        OutputError: It exists and ``overwrite`` is not set, or it is something else than a
            checkpoint, or its parent is not there.
    """
    try:
        problem = _problem(Path(os.path.realpath(path)), printable(path), overwrite=overwrite)
    except OSError as error:
        raise OutputError(f"{printable(path)}: cannot be written: {reason(error)}") from error
    if problem:
        raise problem


def _problem(target: Path, name: str, *, overwrite: bool) -> GscodecError | None:
    parent = target.parent
    if not parent.is_dir():
        return OutputError(f"{name}: there is no folder {printable(str(parent))}")
    if not os.access(parent, os.W_OK | os.X_OK):
        return OutputError(f"{name}: no permission to write into {printable(str(parent))}")
    if not target.exists():
        return None
    if not target.is_dir():
        return OutputError(f"{name}: is a file, expected a folder")
    if not any(target.iterdir()):
        return None
    if not overwrite:
        return OutputError(f"{name}: exists already; replace it with --overwrite")
    stranger = _stranger(target)
    if stranger is not None:
        return OutputError(
            f"{name}: holds {printable(stranger)}, which is no part of a checkpoint; "
            "name another folder"
        )
    return None


def _stranger(target: Path) -> str | None:
    """The first thing in ``target`` that replacing it would lose, if there is one."""
    from gscodec.checkpointio.layout import is_checkpoint_file

    for entry in sorted(target.rglob("*")):
        name = entry.relative_to(target).as_posix()
        expected = entry.is_dir() or (entry.is_file() and is_checkpoint_file(name))
        if entry.is_symlink() or not expected:
            return name
    return None


def write_folder(path: str, files: Mapping[str, bytes], *, overwrite: bool) -> None:
    """Writes ``files`` as a folder: at once and completely, or not at all.

    Args:
        path: The folder; it may exist if it is empty.
        files: Path relative to the folder, with "/" -> content.
        overwrite: Whether a checkpoint that is there is replaced.

    Raises:
        OutputError: See `check_folder`; or the system refuses (disk full, no permission).
    """
    check_folder(path, overwrite=overwrite)
    target = Path(os.path.realpath(path))
    try:
        with temporary_folder(target.parent) as temporary:
            for name, data in files.items():
                _write(temporary / name, data)
            with in_place(printable(path)):
                _replace(target, temporary)
    except OSError as error:
        raise OutputError(f"{printable(path)}: cannot be written: {reason(error)}") from error


def _write(file: Path, data: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("xb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())


def _replace(target: Path, temporary: Path) -> None:
    """Puts ``temporary`` in place of ``target``; what was there comes back if that fails."""
    if not target.exists():
        temporary.rename(target)
        return
    old = temporary.with_suffix(".old")
    target.rename(old)
    try:
        temporary.rename(target)
    except BaseException:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)
