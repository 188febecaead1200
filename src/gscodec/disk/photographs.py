"""Names of photographs, as camera files write them -> the files that they mean."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from gscodec.errors import InputError
from gscodec.report.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

    import numpy as np
    from numpy.typing import NDArray

    from gscodec.camera import Camera


class Photographs:
    """Where the photographs of a camera file may lie.

    Names are written with suffix or without (NeRF-synthetic), or with another one than that of
    smaller copies of the photographs (PNG instead of JPEG). A file of exactly that name goes
    first, then one with the same stem and the suffix of an image. As of checkpoints, a
    stranger's file must not fetch what lies elsewhere: neither by its names nor through links.
    """

    def __init__(
        self, folders: tuple[Path, ...], root: Path | None, *, by_end: bool = False
    ) -> None:
        """Remembers where to look.

        Args:
            folders: In the order in which they are tried.
            root: Folder that every photograph must be in, links followed; None for anywhere.
            by_end: Try ``b/c.png`` and ``c.png`` too where the name is ``a/b/c.png``, for
                folders that somebody named in place of those of the camera file.
        """
        self._folders = folders
        self._root = None if root is None else root.resolve()
        self._by_end = by_end
        self._listings: dict[Path, _Listing] = {}

    def find(self, name: str) -> Path | None:
        """The file of the photograph ``name``, or none.

        Raises:
            InputError: It is outside of the root.
        """
        parts = Path(name).parts
        if self._by_end:
            parts = tuple(part for part in parts if part not in {os.sep, os.pardir})
        ends = range(len(parts) if self._by_end else min(len(parts), 1))
        matches = (
            look(self._listing(path.parent), path)
            for start in ends
            for look in (_Listing.exact, _Listing.similar)
            for path in (folder.joinpath(*parts[start:]) for folder in self._folders)
        )
        match = next((match for match in matches if match is not None), None)
        if match is not None and self._root is not None:
            self._require_inside(match, self._root)
        return match

    def _require_inside(self, file: Path, root: Path) -> None:
        if not file.resolve().is_relative_to(root):
            raise InputError(
                f"{printable(str(file))}: is a photograph outside of {printable(str(root))}; "
                "name its folder with --images, or read it where it is with --allow-outside"
            )

    def _listing(self, folder: Path) -> _Listing:
        if folder not in self._listings:
            self._listings[folder] = _Listing(folder)
        return self._listings[folder]


class _Listing:
    """The regular files in a folder; none where there is no such folder."""

    def __init__(self, folder: Path) -> None:
        self._names = {path.name: path for path in _files(folder)}
        self._stems: dict[str, Path] = {}
        for name in sorted(self._names):
            if _is_image(Path(name)):
                self._stems.setdefault(Path(name).stem, self._names[name])

    def exact(self, path: Path) -> Path | None:
        return self._names.get(path.name)

    def similar(self, path: Path) -> Path | None:
        return self._stems.get(path.stem if _is_image(path) else path.name)


def _files(folder: Path) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            yield from (Path(entry.path) for entry in entries if entry.is_file())
    except (OSError, ValueError):  # not there, not ours; no name of a folder at all
        return


def _is_image(path: Path) -> bool:
    from gscodec.cameraio.photographs import SUFFIXES

    return path.suffix.lower() in SUFFIXES


def photograph_size(path: Path) -> tuple[int, int]:
    """Width and height of an image file, pixels.

    Raises:
        InputError: It may not be read.
        SceneError: It is no image.
    """
    from gscodec import cameraio

    with _open(path) as file:
        return cameraio.photograph_size(file, str(path))


def read_photograph(
    path: Path, camera: Camera, background: tuple[float, float, float] = (0.0, 0.0, 0.0)
) -> NDArray[np.float32]:
    """A photograph as ``camera`` would take it without distortion, (H, W, 3), 0 to 1.

    Args:
        path: Of the image file.
        camera: Of the same size, as `gscodec.disk.views.read_views` makes it.
        background: Behind transparent pixels.

    Raises:
        InputError: It may not be read.
        SceneError: It is no image, damaged, or of another size.
    """
    from gscodec import cameraio

    with _open(path) as file:
        return cameraio.decode_photograph(file, camera, background, str(path))


def _open(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        reason = printable(error.strerror or str(error))
        raise InputError(f"{printable(str(path))}: cannot be read: {reason}") from error
