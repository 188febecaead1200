"""A path -> a scene, whatever kind of file or folder it is: one way for every command.

What a path holds is told by what is in it, a folder by its files and a file by its first bytes.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from gscodec.disk.files import STDIO, named, read_input, size_of, told
from gscodec.errors import SceneError, UsageError
from gscodec.notes import Note
from gscodec.report.text import printable
from gscodec.room import MEMORY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from mmap import mmap

    from gscodec.anchors import AnchorScene, Scene
    from gscodec.checkpointio.hac import Scaling
    from gscodec.room import Room
    from gscodec.scene import GaussianScene
    from gscodec.sceneio import ReadResult

_HASHED_AT_ONCE = 1 << 24  # bytes
_SUFFIXES = (".ply", ".pt", ".ckpt")
_SCALINGS: dict[str, Scaling] = {"auto": "auto", "log": "log", "linear": "linear"}
S_co = TypeVar("S_co", covariant=True)


@dataclass(frozen=True)
class Reading:
    """How to read a scene; kinds to which something does not apply ignore it.

    Attributes:
        drop_invalid: Drop Gaussians with NaN or infinity instead of refusing the scene.
        keep_extra: Keep unknown properties.
        scaling: What ``scale_*`` of a checkpoint are.
        allow_outside: Whether links in a checkpoint may lead out of its folder.
        room: Where Gaussians of a .ply go.
    """

    drop_invalid: bool = False
    keep_extra: bool = False
    scaling: Scaling = "auto"
    allow_outside: bool = False
    room: Room = MEMORY


@dataclass(frozen=True)
class LoadedScene(Generic[S_co]):
    """A scene and what is known about its file or folder.

    Attributes:
        scene: The Gaussians or anchors, in file order.
        bytes: Of the file, or of those files of a folder that were read.
        notes: One line for each thing that was changed or left out.
        meta: ``source`` and ``conventions`` as a .gsz remembers them; of a .gsz what it
            remembers.
    """

    scene: S_co
    bytes: int
    notes: tuple[str, ...]
    meta: dict[str, object]


def is_folder(path: str) -> bool:
    """Whether ``path`` is a folder, so a checkpoint or what 3DGS training leaves."""
    return path != STDIO and Path(path).is_dir()


def may_be_scene(folder: str) -> bool:
    """Whether a training may have left ``folder``: there is a scene in it, or where it would be."""
    root = Path(folder)
    return (root / "point_cloud").exists() or any(root.glob("*.ply"))


def holds_anchors(path: str) -> bool:
    """Whether ``path`` is a folder that is to be read as a checkpoint of anchors.

    Raises:
        InputError: It cannot be read.
    """
    from gscodec.disk.checkpoints import gaussians_in

    return is_folder(path) and gaussians_in(path) is None


def suffix_of(path: str) -> str:
    """The suffix that a name made from ``path`` has in place of; "" of a folder."""
    from gscodec.interchange.formats import format_of

    if is_folder(path):
        return ""
    known = format_of(path)
    suffix = Path(path).suffix.lower()
    return known.suffix if known else suffix if suffix in _SUFFIXES else ""


def named_folder(path: str) -> str:
    """The folder ``path`` by a path that ends in its name: "." has none."""
    return str(Path(path).resolve()) if Path(path).name in {"", ".."} else path


def check_coded_name(path: str) -> None:
    """Refuses the name of another format for what is encoded.

    Raises:
        UsageError: ``path`` has the suffix of one.
    """
    from gscodec.interchange.formats import format_of

    foreign = format_of(path)
    suffix = foreign.suffix if foreign else Path(path).suffix.lower()
    if foreign or suffix == ".ply":
        raise UsageError(
            f"{printable(path)}: encode writes a .gsz, found the suffix {suffix}; "
            f"'gscodec decode' makes a {suffix} of it"
        )


def checked_scaling(scaling: str | None, *, anchors: bool) -> Scaling:
    """The word given with --scaling, or "auto".

    Raises:
        UsageError: There is no such word, or the scene is no checkpoint.
    """
    if scaling is None:
        return "auto"
    if scaling not in _SCALINGS:
        raise UsageError(f"--scaling: found {scaling!r}, expected {', '.join(_SCALINGS)}")
    if not anchors:
        raise UsageError("--scaling: only a checkpoint folder has it")
    return _SCALINGS[scaling]


def load_scene(path: str, reading: Reading | None = None) -> LoadedScene[Scene]:
    """Reads what `load_source` does, and decodes a .gsz.

    Raises:
        FormatError: A .gsz is damaged.
        UnsupportedError: A .gsz needs something that this version lacks.
        GscodecError: As `load_source`.
    """
    from gscodec.codec import decode, inspect
    from gscodec.sceneio.foreign import Kind, kind_of

    if is_folder(path):
        return _load_folder(path, reading or Reading())
    data = read_input(path, _may_be_scene(path))
    if kind_of(data) is not Kind.GSZ:
        return _load_file(data, path, reading or Reading())
    with named(path):
        return LoadedScene(decode(data), len(data), (), inspect(data).meta)


def load_source(path: str, reading: Reading) -> LoadedScene[Scene]:
    """Reads a 3DGS .ply, a format of others, splats saved by torch, or a folder; ``-`` is stdin.

    Raises:
        InputError: It cannot be read.
        SceneError: It is none of them, or no complete scene of finite values.
        UsageError: A package that reads its format is not installed.
    """
    if is_folder(path):
        return _load_folder(path, reading)
    if not reading.room.in_memory and binary_gaussians(path) is not None:
        return _load_file(reading.room.mapped(Path(path)), path, reading)
    return _load_file(read_input(path, _may_be_scene(path)), path, reading)


def check_source(path: str) -> None:
    """Refuses what names and first bytes tell to be no scene, in the words of its reader.

    Raises:
        GscodecError: As `load_source`.
    """
    from gscodec.checkpointio.layout import SCENE_FILE
    from gscodec.interchange import format_in, missing_package
    from gscodec.sceneio import check_ply
    from gscodec.sceneio.foreign import Kind, kind_of
    from gscodec.sceneio.rows import BYTE_ORDER_MARK

    if is_folder(path):
        if not any(Path(path).rglob(SCENE_FILE)):
            _load_folder(path, Reading())
        return
    if not Path(path).is_file():
        return  # a pipe can be read once
    head = read_input(path, lambda _: False).removeprefix(BYTE_ORDER_MARK)
    foreign = format_in(head, path)
    if foreign is None:
        check_ply(head, size_of(path), path)
    elif kind_of(head) is not Kind.ZIP and (missing := missing_package(foreign)):
        raise UsageError(f"{printable(path)}: {missing}")


def binary_gaussians(path: str) -> tuple[int, int] | None:
    """How many Gaussians of which SH degree a file holds; None of what is no binary .ply.

    What is wrong with a .ply, its reader tells.
    """
    from gscodec.sceneio import check_ply
    from gscodec.sceneio.header import MAX_HEADER_BYTES

    with suppress(OSError, SceneError):
        if path == STDIO or not Path(path).is_file():
            return None
        with Path(path).open("rb") as file:
            header, _, degree = check_ply(file.read(MAX_HEADER_BYTES), size_of(path), path)
        return None if header.ply.text else (header.counts["vertex"], degree)
    return None


def _may_be_scene(path: str) -> Callable[[bytes], bool]:
    """Whether a file or a stream that starts so is worth reading to its end, if it has one."""
    from gscodec.interchange import format_of
    from gscodec.sceneio.foreign import Kind, kind_of
    from gscodec.sceneio.header import may_be_ply
    from gscodec.sceneio.rows import BYTE_ORDER_MARK

    def may_be(head: bytes) -> bool:
        head = head.removeprefix(BYTE_ORDER_MARK)
        kind = kind_of(head)
        if kind is Kind.PLY:
            return may_be_ply(head)
        return kind in {Kind.GSZ, Kind.GZIP, Kind.SPZ, Kind.ZIP} or format_of(path) is not None

    return may_be


def _load_file(data: bytes | mmap, path: str, reading: Reading) -> LoadedScene[GaussianScene]:
    read = _read_gaussians(data, told(path), reading)
    name = None if path == STDIO else Path(path).name
    meta: dict[str, object] = {
        "source": _described(name, _in_parts(data, reading.room)),
        "conventions": read.conventions,
    }
    return LoadedScene(read.scene, len(data), read.notes, meta)


def _in_parts(data: bytes | mmap, room: Room) -> Iterator[bytes]:
    for part in room.slices(len(data), _HASHED_AT_ONCE):
        yield data[part]


def _read_gaussians(data: bytes | mmap, path: str, reading: Reading) -> ReadResult:
    """By what the first bytes are; by the suffix where a format has no bytes of its own."""
    from gscodec.checkpointio import is_archive, read_splats
    from gscodec.disk.checkpoints import refuse_one_of_many
    from gscodec.interchange import as_read, format_in, missing_package, read_foreign
    from gscodec.sceneio import read_ply
    from gscodec.sceneio.foreign import Kind, kind_of

    drop_invalid = reading.drop_invalid
    if not isinstance(data, bytes):
        return read_ply(
            data,
            drop_invalid=drop_invalid,
            keep_extra=reading.keep_extra,
            name=path,
            room=reading.room,
        )
    if kind_of(data) is Kind.ZIP and is_archive(data):
        refuse_one_of_many(path)
        splats = read_splats(data, path)
        return as_read(*splats, drop_invalid=drop_invalid, name=path)
    foreign = format_in(data, path)
    if foreign is None:
        return read_ply(
            data, drop_invalid=drop_invalid, keep_extra=reading.keep_extra, name=path
        )
    if missing := missing_package(foreign):
        raise UsageError(f"{printable(path)}: {missing}")
    return read_foreign(data, foreign, drop_invalid=drop_invalid, name=path)


def _load_folder(path: str, reading: Reading) -> LoadedScene[Scene]:
    from gscodec.disk.checkpoints import gaussians_in, note_on_others, read_gaussians

    name = gaussians_in(path)
    if name is None:
        return _load_checkpoint(path, reading)
    data = read_gaussians(path, name, allow_outside=reading.allow_outside)
    read = _read_gaussians(data, f"{path}: {name}", reading)
    meta: dict[str, object] = {
        "source": {**_described(Path(named_folder(path)).name, [data]), "files": [name]},
        "conventions": read.conventions,
    }
    chosen = Note(f"read {name}, the highest iteration", "iteration-read", changed=False)
    notes = (chosen, *read.notes, *note_on_others(path, [name]))
    return LoadedScene(read.scene, len(data), notes, meta)


def _load_checkpoint(path: str, reading: Reading) -> LoadedScene[Scene]:
    from gscodec.checkpointio import read_checkpoint
    from gscodec.disk.checkpoints import note_on_others, read_folder

    files = read_folder(path, allow_outside=reading.allow_outside)
    read = read_checkpoint(files, name=path, scaling=reading.scaling)
    scene, notes = _with_extras(read.scene, keep_extra=reading.keep_extra)
    described = _described(Path(named_folder(path)).name, files.values())
    meta: dict[str, object] = {
        "source": {**described, "files": list(files)},
        "conventions": {
            "format": "checkpoint",
            "networks": scene.storage.name.lower(),
            "iteration": scene.iteration,
        },
    }
    notes = (*read.notes, *notes, *note_on_others(path, files))
    return LoadedScene(scene, sum(map(len, files.values())), notes, meta)


def _with_extras(
    scene: AnchorScene, *, keep_extra: bool
) -> tuple[AnchorScene, tuple[str, ...]]:
    """The scene as wanted, and a note in the words of `read_ply`."""
    from gscodec.sceneio.columns import counted, note_on_extras

    if not scene.extras:
        return scene, ()
    names = [extra.name for extra in scene.extras]
    what = counted(names, "extra vertex property", "extra vertex properties")
    note = note_on_extras(what, len(names), keep_extra=keep_extra)
    return (scene if keep_extra else replace(scene, extras=())), (note,)


def _described(name: str | None, parts: Iterable[bytes]) -> dict[str, object]:
    """The source as it is remembered in the file: no folders, they are nobody's business."""
    digest, size = hashlib.sha256(), 0
    for part in parts:
        digest.update(part)
        size += len(part)
    named = {} if name is None else {"name": printable(name)}
    return {**named, "bytes": size, "sha256": digest.hexdigest()}
