"""Names of photographs as camera files write them: one way to write a path, one name a camera."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from gscodec.cameraio.values import shown
from gscodec.errors import SceneError

if TYPE_CHECKING:
    from collections.abc import Iterable


def written_name(text: str) -> str:
    """``text`` with "/" between folders, also where Windows wrote it."""
    return text.replace("\\", "/")


def check_distinct(names: Iterable[tuple[str, str]]) -> None:
    """Refuses two cameras whose photographs have one name; whole paths are compared.

    Args:
        names: Of each camera where it stands, and its name, empty where there is none.

    Raises:
        SceneError: A name is there twice: both would be given the same photograph.
    """
    taken: set[PurePosixPath] = set()
    for place, name in names:
        path = PurePosixPath(written_name(name))
        if name and path in taken:
            raise SceneError(
                f"{place}: name {shown(name)} found twice, expected one for each photograph: "
                "tell them apart by their folders, or leave the names out"
            )
        taken.add(path)
