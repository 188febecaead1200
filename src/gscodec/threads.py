"""How many threads numpy's matrix products take while there are threads of our own."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """The whole process has one BLAS thread for each of its own, until the last user is done.

    Threads of a BLAS inside of a pool's threads wait for each other: on two cores, half a
    million Gaussians took up to three times as long to decode. Results are the same integers.
    """
    _limit.enter()
    try:
        yield
    finally:
        _limit.leave()


class _Limit:
    """Counts its users: the first sets the limit, the last restores what was before.

    Without the count, of two users at once the second would restore the limit of the first.
    """

    def __init__(self) -> None:
        self._lock, self._users = Lock(), 0
        self._set: Any = None

    def enter(self) -> None:
        with self._lock:
            if not self._users:
                self._set = _libraries(len(sys.modules)).limit(limits=1)
            self._users += 1

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                self._set.restore_original_limits()


@lru_cache(maxsize=1)
def _libraries(modules: int) -> Any:  # noqa: ARG001
    """Every BLAS that is loaded: scipy and torch bring their own.

    To look for them takes milliseconds, so it is done anew only after an import: the number of
    ``modules`` tells.
    """
    import numpy as np  # noqa: F401
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


_limit = _Limit()
