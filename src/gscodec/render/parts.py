"""Kernels over all rows of their arrays, some rows at a time, in as many threads as numba has.

Kernels are plain loops that release Python's lock; they are not ``numba.njit(parallel=True)``.
Numba compiles the body of a parallel loop for itself and once more as a part of its function:
the process that compiles runs the first, all later ones load the second from the cache. With
fast floats the two round differently, so the first run of an installation would not give the
bits of the next. Of a plain loop there is one machine code.

Invariant: rows are cut in the same places whatever the number of threads, and each part is
computed by one of them, so results do not depend on it.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Concatenate, ParamSpec

from gscodec.render.compiled import thread_count

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")


def in_parts(
    kernel: Callable[Concatenate[int, int, P], None],
    count: int,
    part: int,
    *arguments: P.args,
    **more: P.kwargs,
) -> None:
    """Calls ``kernel(begin, end, *arguments)`` for ``part`` rows at a time of ``count``."""
    begins = iter(range(0, count, part))

    def work() -> None:
        for begin in begins:  # shared: each thread takes the next part that is left
            kernel(begin, min(begin + part, count), *arguments, **more)

    threads = min(thread_count(), -(-count // part))
    helpers = [_pool().submit(work) for _ in range(threads - 1)]
    work()
    for helper in helpers:
        # What has not begun by now finds nothing left; in the child of a fork it never begins.
        if not helper.cancel():
            helper.result()


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), "gscodec-render")
