"""Compiles kernels with numba; `kernel_cache` keeps the machine code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from gscodec.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

try:
    import numba
except ImportError as error:
    raise UsageError("rendering needs numba; pip install 'gscodec[render]'") from error

# What floats may do: sums in another order and the like. NaN and infinity keep their meaning.
FAST = {"reassoc", "contract", "arcp", "nsz", "afn"}

F = TypeVar("F", bound="Callable[..., Any]")


def compiled(**options: Any) -> Callable[[F], F]:
    """`numba.njit` with a type: kernels keep the signatures that they are written with."""

    def compile_it(function: F) -> F:
        from gscodec.render.kernel_cache import KernelCache

        kernel = numba.njit(**options)(function)
        # Numba's own cache lies beside the installed code, and gives up where it is damaged.
        kernel._cache = KernelCache(function, options)  # noqa: SLF001
        return cast("F", kernel)

    return compile_it


def inlined(function: F) -> F:
    """A part of other kernels."""
    return cast("F", numba.njit(fastmath=FAST, inline="always")(function))


def thread_count() -> int:
    """Threads that kernels may run in."""
    return int(numba.get_num_threads())
