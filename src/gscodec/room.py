"""Where large arrays are: in memory, or in scratch files that the system pages in and out.

Strategy: a scene that is too large for memory is the same arrays, mapped. Whoever goes through
them does so some rows at a time and says now and then that it has done so (`Room.leave`), so
that what is mapped does not count as memory of this process any longer.

Scratch files have no name: they are gone when the process is, however it ends. Their bytes are
reserved at once, so that a full disk is an error of that moment, and no signal later on.
"""

from __future__ import annotations

import math
import mmap
import os
import tempfile
from typing import TYPE_CHECKING, Any

from gscodec.errors import OutputError
from gscodec.slices import in_slices

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import DTypeLike, NDArray

_SMALL = 1 << 20  # bytes of an array that is in memory anyway
_ROWS = 1 << 16  # that are copied between two leaves: each may be in a page of its own
_CAN_LEAVE = hasattr(mmap, "MADV_DONTNEED")


class Room:
    """In memory if there is no folder for scratch files."""

    def __init__(self, folder: Path | None = None) -> None:
        """Scratch files are in ``folder``, which must be there."""
        self._folder = folder
        self._maps: list[mmap.mmap] = []

    @property
    def in_memory(self) -> bool:
        """Whether arrays take memory."""
        return self._folder is None

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """An array that holds anything, or zeros.

        Raises:
            OutputError: The disk has no room for it.
        """
        import numpy as np  # not before: a command says how many threads it has first

        size = math.prod(shape) * np.dtype(dtype).itemsize
        if self._folder is None or size < _SMALL:
            return np.empty(shape, dtype)
        try:
            with tempfile.TemporaryFile(dir=self._folder) as file:
                _reserve(file.fileno(), size)
                mapped = mmap.mmap(file.fileno(), size)
        except OSError as error:
            raise OutputError(
                f"{self._folder}: {size:,} bytes of scratch files: {error.strerror or error}"
            ) from error
        self._maps.append(mapped)
        return np.frombuffer(mapped, dtype).reshape(shape)

    def keep(self, array: NDArray[Any]) -> NDArray[Any]:
        """``array``, moved to where arrays are."""
        if self.in_memory:
            return array
        found = self.empty(array.shape, array.dtype)
        found[:] = array
        self.leave()
        return found

    def mapped(self, path: Path) -> mmap.mmap:
        """The bytes of a file, which must not change meanwhile; not of an empty one.

        Raises:
            OSError: The system refuses.
        """
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._maps.append(mapped)
        return mapped

    def joined(self, first: NDArray[Any], second: NDArray[Any]) -> NDArray[Any]:
        """Rows of ``first``, then those of ``second``."""
        import numpy as np

        if self.in_memory:
            return np.concatenate([first, second])
        found = self.empty((len(first) + len(second), *first.shape[1:]), first.dtype)
        for rows in self.slices(len(first)):
            found[rows] = first[rows]
        found[len(first) :] = second
        return found

    def take(self, array: NDArray[Any], rows: NDArray[Any] | slice) -> NDArray[Any]:
        """``array[rows]``; of a slice a view."""
        import numpy as np

        if self.in_memory or isinstance(rows, slice):
            taken: NDArray[Any] = array[rows]
            return taken
        if rows.dtype == np.bool_:
            rows = np.flatnonzero(rows)
        found = self.empty((len(rows), *array.shape[1:]), array.dtype)
        for some in self.slices(len(rows)):
            found[some] = array[rows[some]]
        return found

    def slices(self, count: int, size: int | None = None) -> Iterator[slice]:
        """As `in_slices`, of arrays that are here: each is left when the next is asked for."""
        for rows in in_slices(count, size or _ROWS):
            yield rows
            self.leave()

    def bounds(self, array: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """The least and the largest of all rows of ``array``, of which there is one at least."""
        import numpy as np

        parts = (array[rows] for rows in self.slices(len(array)))
        ends = [(part.min(axis=0), part.max(axis=0)) for part in parts]
        return np.min([low for low, _ in ends], axis=0), np.max(
            [high for _, high in ends], axis=0
        )

    def leave(self) -> None:
        """What was touched until now is hardly needed: it does not stay in memory."""
        if _CAN_LEAVE:
            for mapped in self._maps:
                mapped.madvise(mmap.MADV_DONTNEED)


def _reserve(descriptor: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.ftruncate(descriptor, size)


MEMORY = Room()
