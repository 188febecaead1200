"""Compiles kernels with numba when they are first called; `kernel_cache` keeps the machine code.

Loading numba takes half a second, so that whatever names kernels can be imported without it.
Where it is missing, no kernel can be called: parts of a module that draw nothing, such as the
networks of anchors, work all the same.
"""

from __future__ import annotations

from functools import update_wrapper
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeVar, cast

from gscodec.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

# What floats may do: sums in another order and the like. NaN and infinity keep their meaning.
FAST = {"reassoc", "contract", "arcp", "nsz", "afn"}
_LOCK = RLock()  # a kernel that two threads call first is compiled once

F = TypeVar("F", bound="Callable[..., Any]")


class _Kernel:
    """A function that is compiled when it is called first."""

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        """``options`` are those of `numba.njit`."""
        update_wrapper(self, function)
        self._function, self._options = function, options
        self._dispatcher: Any = None

    def __call__(self, *arguments: Any, **more: Any) -> Any:
        return (self._dispatcher or self.dispatcher)(*arguments, **more)

    @property
    def dispatcher(self) -> Any:
        """What numba makes of it; parts of it in the same module become what numba knows.

        Raises:
            UsageError: There is no numba.
        """
        with _LOCK:
            if self._dispatcher is None:
                self._dispatcher = self._compiled()
        return self._dispatcher

    def _compiled(self) -> Any:
        dispatcher = _numba().njit(**self._options)(self._function)
        known = self._function.__globals__
        for name in self._function.__code__.co_names:
            if isinstance(part := known.get(name), _Kernel):
                known[name] = part.dispatcher
        if "inline" not in self._options:
            from gscodec.render.kernel_cache import KernelCache

            # Numba's own cache lies beside the installed code, and gives up where it is damaged.
            dispatcher._cache = KernelCache(self._function, self._options)  # noqa: SLF001
        return dispatcher


def compiled(**options: Any) -> Callable[[F], F]:
    """`numba.njit` with a type: kernels keep the signatures that they are written with."""

    def compile_it(function: F) -> F:
        return cast("F", _Kernel(function, options))

    return compile_it


def inlined(function: F) -> F:
    """A part of other kernels."""
    return cast("F", _Kernel(function, {"fastmath": FAST, "inline": "always"}))


def thread_count() -> int:
    """Threads that kernels may run in."""
    return int(_numba().get_num_threads())


def _numba() -> ModuleType:
    try:
        import numba
    except ImportError:
        raise UsageError("rendering needs numba; pip install 'gscodec[render]'") from None
    return numba
