"""A path -> a scene, whatever kind of file or folder it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from gscodec.cli.files import STDIO, read_input
from gscodec.errors import FormatError, SceneError, UnsupportedError
from gscodec.report.text import printable

if TYPE_CHECKING:
    from gscodec.anchors import AnchorScene
    from gscodec.scene import GaussianScene

S_co = TypeVar("S_co", covariant=True)


@dataclass(frozen=True)
class LoadedScene(Generic[S_co]):
    """A scene and what is known about its file.

    Attributes:
        scene: The Gaussians or anchors, in file order.
        bytes: Size of the file, or of those files of a folder that were read.
        notes: One line for each thing that was left out.
    """

    scene: S_co
    bytes: int
    notes: tuple[str, ...]


def load_scene(path: str) -> LoadedScene[GaussianScene | AnchorScene]:
    """Reads a 3DGS .ply or a checkpoint folder, or decodes a .gsz; ``-`` is stdin.

    Raises:
        InputError: It cannot be read.
        SceneError: It is none of them, or no complete scene of finite values.
        FormatError: A .gsz is damaged.
        UnsupportedError: A .gsz needs something that this version lacks.
    """
    from gscodec.codec import decode
    from gscodec.container.layout import MAGIC
    from gscodec.sceneio import read_ply

    if path != STDIO and Path(path).is_dir():
        return _load_checkpoint(path)
    data = read_input(path)
    if not data.startswith(MAGIC[:4]):  # the rest of it tells how a .gsz was damaged
        read = read_ply(data, name=path)
        return LoadedScene(read.scene, len(data), read.notes)
    try:
        return LoadedScene(decode(data), len(data), ())
    except (FormatError, UnsupportedError) as error:
        raise type(error)(f"{path}: {error}") from error


def load_gaussians(path: str) -> LoadedScene[GaussianScene]:
    """As `load_scene`, for what works on Gaussians only.

    Raises:
        SceneError: The scene has anchors; and errors as `load_scene`.
    """
    from gscodec.scene import GaussianScene

    loaded = load_scene(path)
    if not isinstance(loaded.scene, GaussianScene):
        raise SceneError(
            f"{printable(path)}: found anchors of Scaffold-GS, expected 3D Gaussians"
        )
    return LoadedScene(loaded.scene, loaded.bytes, loaded.notes)


def _load_checkpoint(path: str) -> LoadedScene[GaussianScene | AnchorScene]:
    from gscodec.checkpointio import read_checkpoint
    from gscodec.cli.checkpoints import read_folder

    files = read_folder(path)
    read = read_checkpoint(files, name=path)
    return LoadedScene(read.scene, sum(map(len, files.values())), read.notes)
