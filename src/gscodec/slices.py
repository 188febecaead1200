"""Rows, some at a time: what is between an input and its result does not grow with the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS = (
    4096  # few enough for a cache, and for a few hundred columns of doubles in some megabytes
)


def in_slices(count: int, size: int = ROWS) -> Iterator[slice]:
    """``count`` rows in their order, ``size`` at a time."""
    return (slice(start, min(start + size, count)) for start in range(0, count, size))
