"""Compiles kernels with numba; `kernel_cache` keeps the machine code.

Without numba, whatever names kernels can be imported, and no kernel can be called: parts of a
module that draw nothing, such as the networks of anchors, work all the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

from gscodec.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

numba: ModuleType | None
try:
    import numba
except ImportError:
    numba = None

# What floats may do: sums in another order and the like. NaN and infinity keep their meaning.
FAST = {"reassoc", "contract", "arcp", "nsz", "afn"}

F = TypeVar("F", bound="Callable[..., Any]")


def compiled(**options: Any) -> Callable[[F], F]:
    """`numba.njit` with a type: kernels keep the signatures that they are written with."""

    def compile_it(function: F) -> F:
        if numba is None:
            return cast("F", _missing)
        from gscodec.render.kernel_cache import KernelCache

        kernel = numba.njit(**options)(function)
        # Numba's own cache lies beside the installed code, and gives up where it is damaged.
        kernel._cache = KernelCache(function, options)  # noqa: SLF001
        return cast("F", kernel)

    return compile_it


def inlined(function: F) -> F:
    """A part of other kernels."""
    if numba is None:
        return cast("F", _missing)
    return cast("F", numba.njit(fastmath=FAST, inline="always")(function))


def thread_count() -> int:
    """Threads that kernels may run in."""
    return _missing() if numba is None else int(numba.get_num_threads())


def _missing(*_: object) -> NoReturn:
    """Stands for every kernel.

    Raises:
        UsageError: Always.
    """
    raise UsageError("rendering needs numba; pip install 'gscodec[render]'")
