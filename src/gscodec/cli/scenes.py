"""A path -> a scene, whatever kind of file it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gscodec.cli.files import read_input
from gscodec.errors import FormatError, UnsupportedError

if TYPE_CHECKING:
    from gscodec.scene import GaussianScene


@dataclass(frozen=True)
class LoadedScene:
    """A scene and what is known about its file.

    Attributes:
        scene: The Gaussians, in file order.
        bytes: Size of the file.
        notes: One line for each thing that was left out.
    """

    scene: GaussianScene
    bytes: int
    notes: tuple[str, ...]


def load_scene(path: str) -> LoadedScene:
    """Reads a 3DGS .ply or decodes a .gsz, told apart by content; ``-`` is stdin.

    Raises:
        InputError: The file cannot be read.
        SceneError: It is neither, or a .ply that is no complete scene of finite values.
        FormatError: A .gsz is damaged.
        UnsupportedError: A .gsz needs something that this version lacks.
    """
    from gscodec.codec import decode
    from gscodec.container.layout import MAGIC
    from gscodec.sceneio import read_ply

    data = read_input(path)
    if not data.startswith(MAGIC[:4]):  # the rest of it tells how a .gsz was damaged
        read = read_ply(data, name=path)
        return LoadedScene(read.scene, len(data), read.notes)
    try:
        return LoadedScene(decode(data), len(data), ())
    except (FormatError, UnsupportedError) as error:
        raise type(error)(f"{path}: {error}") from error
