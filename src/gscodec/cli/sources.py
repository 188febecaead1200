"""What `encode` takes, a .ply or a checkpoint folder -> a scene and what a file says of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gscodec.cli.files import STDIO, read_input
from gscodec.errors import UsageError
from gscodec.report.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gscodec.anchors import AnchorScene, Scene
    from gscodec.checkpointio.hac import Scaling

_SCALINGS: dict[str, Scaling] = {"auto": "auto", "log": "log", "linear": "linear"}


@dataclass(frozen=True)
class Source:
    """A scene to encode.

    Attributes:
        scene: The Gaussians or anchors, in file order.
        bytes: Of the files that were read.
        notes: One line for each thing that was changed or left out.
        meta: ``source`` and ``conventions`` as they are remembered in the file.
    """

    scene: Scene
    bytes: int
    notes: tuple[str, ...]
    meta: dict[str, object]


def is_folder(path: str) -> bool:
    """Whether ``path`` is a folder, so a checkpoint."""
    return path != STDIO and Path(path).is_dir()


def named_folder(path: str) -> str:
    """The folder ``path`` by a path that ends in its name: "." has none."""
    return str(Path(path).resolve()) if Path(path).name in {"", ".."} else path


def checked_scaling(scaling: str | None, *, folder: bool) -> Scaling:
    """The word given with --scaling, or "auto".

    Raises:
        UsageError: There is no such word, or the scene is no checkpoint.
    """
    if scaling is None:
        return "auto"
    if scaling not in _SCALINGS:
        raise UsageError(f"--scaling: found {scaling!r}, expected {', '.join(_SCALINGS)}")
    if not folder:
        raise UsageError("--scaling: only a checkpoint folder has it")
    return _SCALINGS[scaling]


def read_source(
    path: str, *, drop_invalid: bool, keep_extra: bool, scaling: Scaling = "auto"
) -> Source:
    """Reads a 3DGS .ply or a checkpoint folder; ``-`` is stdin.

    Raises:
        InputError: It cannot be read.
        SceneError: It is no complete scene of finite values.
    """
    if is_folder(path):
        return _read_checkpoint(path, keep_extra=keep_extra, scaling=scaling)
    from gscodec.sceneio import read_ply

    data = read_input(path)
    read = read_ply(data, drop_invalid=drop_invalid, keep_extra=keep_extra, name=path)
    name = None if path == STDIO else Path(path).name
    meta: dict[str, object] = {
        "source": _described(name, [data]),
        "conventions": read.conventions,
    }
    return Source(read.scene, len(data), read.notes, meta)


def _read_checkpoint(path: str, *, keep_extra: bool, scaling: Scaling) -> Source:
    from gscodec.checkpointio import read_checkpoint
    from gscodec.cli.checkpoints import note_on_others, read_folder

    files = read_folder(path)
    read = read_checkpoint(files, name=path, scaling=scaling)
    scene, notes = _with_extras(read.scene, keep_extra=keep_extra)
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
    return Source(scene, sum(map(len, files.values())), notes, meta)


def _with_extras(
    scene: AnchorScene, *, keep_extra: bool
) -> tuple[AnchorScene, tuple[str, ...]]:
    """The scene as wanted, and a note in the words of `read_ply`."""
    from gscodec.sceneio.columns import counted

    if not scene.extras:
        return scene, ()
    names = [extra.name for extra in scene.extras]
    what = counted(names, "extra vertex property", "extra vertex properties")
    if keep_extra:
        return scene, (f"kept {what}",)
    return replace(scene, extras=()), (f"dropped {what}; keep with --keep-extra",)


def _described(name: str | None, parts: Iterable[bytes]) -> dict[str, object]:
    """The source as it is remembered in the file: no folders, they are nobody's business."""
    digest, size = hashlib.sha256(), 0
    for part in parts:
        digest.update(part)
        size += len(part)
    named = {} if name is None else {"name": printable(name)}
    return {**named, "bytes": size, "sha256": digest.hexdigest()}
