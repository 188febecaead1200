"""Tiles that are done, beside the output until all of them are: a run can go on with them."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gscodec.disk.files import reason
from gscodec.disk.signals import advise
from gscodec.errors import OutputError
from gscodec.report.text import printable

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SUFFIX = ".tiles"


class KeptTiles:
    """A folder beside the output; see `tiling.Kept`."""

    def __init__(self, target: str, *, resume: bool) -> None:
        """Forgets what another run has kept, unless this is to ``resume`` it.

        Raises:
            OutputError: The folder cannot be made.
        """
        self._folder = Path(target + _SUFFIX)
        if not resume:
            self.remove()
        try:
            self._folder.mkdir(exist_ok=True)
        except OSError as error:
            raise self._refusal(error) from error

    def get(self, name: str) -> dict[str, NDArray[Any]] | None:
        """See `tiling.Kept`."""
        try:
            with (
                (self._folder / name).open("rb") as file,
                np.load(file, allow_pickle=False) as arrays,
            ):
                return dict(arrays)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            return None

    def put(self, name: str, arrays: dict[str, NDArray[Any]]) -> None:
        """See `tiling.Kept`.

        Raises:
            OutputError: The disk is full, or the like.
        """
        part = self._folder / f"{name}.part"
        try:
            with part.open("wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
            part.replace(self._folder / name)
            advise("go on with the same command and --resume")
        except OSError as error:
            raise self._refusal(error) from error

    def remove(self) -> None:
        """Once the output is written."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _refusal(self, error: OSError) -> OutputError:
        return OutputError(
            f"{printable(str(self._folder))}: cannot be written: {reason(error)}"
        )
