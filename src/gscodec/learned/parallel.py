"""Blocks of rows, and work on many of them at once."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from gscodec.threads import one_blas_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

S = TypeVar("S")
T = TypeVar("T")


def blocks(count: int, size: int) -> list[slice]:
    """Rows of each block."""
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def in_parallel(
    work: Callable[[S], T],
    items: Sequence[S],
    threads: int | None,
    progress: Callable[[float], None],
) -> list[T]:
    """Results of ``work`` for each item, in order. numpy releases the GIL, constriction does not."""
    results = []
    with one_blas_thread(), ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        for number, result in enumerate(pool.map(work, items)):
            results.append(result)
            progress((number + 1) / len(items))
    return results
