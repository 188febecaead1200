"""The range coder of the specification in plain Python, for machines without constriction.

Strategy: the two loops over the symbols of a run are plain functions of integers. Python runs
them on lists; after some millions of symbols numba, where it is installed, compiles the same
functions for arrays of 64-bit integers. Everything around the loops is shared, so there is one
coder with two speeds, and it may change them between two runs.

Invariants: the decoder keeps ``point - lower``, which stays below ``width`` ("range" in the
specification) and needs no modulus. The encoder lets a word take its carry as a 33rd bit;
`OwnEncoder.words` settles all carries in one addition of long integers.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from gscodec.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

INVALID = "coded stream: invalid data for the range decoder"
_TOTAL = 1 << 24
_WORD = 1 << 32
_LOW = _WORD - 1
_ALL = (1 << 64) - 1
_SLACK = (1 << 33) - 1  # of what a sealed stream leaves above its last interval
_SLICE = 1 << 16  # symbols that one loop takes: bounds the memory of lists
Vector = Any  # list[int], or an array for compiled loops


def encode_slice(
    symbols: Vector, cumulative: Vector, words: Vector, lower: int, width: int
) -> tuple[int, int, int]:
    """Codes ``symbols``; ``words[0]`` is the last word before them, later ones are written.

    Returns:
        Number of ``words`` in use, and the new ``lower`` and ``width``.
    """
    used = 1
    for symbol in symbols:
        scale = width >> 24
        step = scale * cumulative[symbol]
        width = scale * (cumulative[symbol + 1] - cumulative[symbol])
        lower = (lower + step) & _ALL
        if lower < step:
            words[used - 1] += 1
        if width < _WORD:
            words[used] = lower >> 32
            used += 1
            lower = (lower << 32) & _ALL
            width <<= 32
    return used, lower, width


def slice_decoder(search: Callable[[Vector, int], int]) -> Callable[..., tuple[int, int, int]]:
    """The inverse of `encode_slice`; ``search`` is `bisect.bisect_right`."""

    def decode_slice(
        symbols: Vector, likely: int, cumulative: Vector, words: Vector, point: int, width: int
    ) -> tuple[int, int, int]:
        """Fills ``symbols``, all ``likely`` so far; ``words`` are the next of the stream.

        Returns:
            Number of ``words`` taken, -1 where the data are invalid; ``point``; ``width``.
        """
        taken = 0
        likely_low = cumulative[likely]
        likely_frequency = cumulative[likely + 1] - likely_low
        for i in range(len(symbols)):
            scale = width >> 24
            start = scale * likely_low
            width = scale * likely_frequency
            # Without a division where the likely symbol has come, as it mostly has.
            if start <= point < start + width:
                point -= start
            else:
                quantile = point // scale
                if quantile >= _TOTAL:
                    return -1, point, width
                symbol = search(cumulative, quantile) - 1
                point -= scale * cumulative[symbol]
                width = scale * (cumulative[symbol + 1] - cumulative[symbol])
                symbols[i] = symbol
            if width < _WORD:
                width <<= 32
                point = point << 32 | words[taken]
                taken += 1
        return taken, point, width

    return decode_slice


@dataclass(frozen=True)
class Table:
    """A table in the forms that the loops read."""

    cumulative: NDArray[np.uint64]  # (S + 1,) 0, f0, f0 + f1, ..., 2**24
    listed: list[int]  # the same
    likely: int  # the symbol of the highest frequency


@dataclass(frozen=True)
class Loops:
    """The two loops, and how arrays and tables are handed to them."""

    encode: Callable[..., tuple[int, int, int]]
    decode: Callable[..., tuple[int, int, int]]
    vector: Callable[[NDArray[Any]], Vector]
    cumulative: Callable[[Table], Vector]


PLAIN = Loops(
    encode_slice, slice_decoder(bisect_right), np.ndarray.tolist, attrgetter("listed")
)


@cache
def compiled_loops() -> Loops:
    """What numba makes of the loops, without Python's lock; `PLAIN` where there is no numba."""
    try:
        import numba
    except ImportError:
        return PLAIN

    state = "Tuple((int64, uint64, uint64))"
    search = numba.njit("int64(uint64[::1], uint64)", nogil=True)(_bisect_right)
    encode = numba.njit(
        f"{state}(int32[::1], uint64[::1], int64[::1], uint64, uint64)", nogil=True
    )(encode_slice)
    decode = numba.njit(
        f"{state}(int32[::1], int64, uint64[::1], uint64[::1], uint64, uint64)", nogil=True
    )(slice_decoder(search))
    return Loops(encode, decode, np.copy, attrgetter("cumulative"))


def _bisect_right(values: Vector, wanted: int) -> int:
    """`bisect.bisect_right`, which numba does not know."""
    low, high = 0, len(values)
    while low < high:
        middle = (low + high) >> 1
        if wanted < values[middle]:
            high = middle
        else:
            low = middle + 1
    return low


class OwnCoder:
    """Makes tables, encoders and decoders.

    Args:
        patience: Symbols that Python codes before numba is asked. Loading it and compiling
            take two seconds, in which Python decodes about three million symbols.
    """

    def __init__(self, patience: float = 3e6) -> None:
        self._patience = patience

    def loops(self, count: int) -> Loops:
        """Those that take the next ``count`` symbols."""
        self._patience -= count
        return compiled_loops() if self._patience < 0 else PLAIN

    def table(self, frequencies: NDArray[np.int64]) -> Table:
        """(S,) integers, checked by `Model`."""
        cumulative = np.concatenate([[0], np.cumsum(frequencies)]).astype(np.uint64)
        return Table(cumulative, cumulative.tolist(), int(np.argmax(frequencies)))

    def encoder(self) -> OwnEncoder:
        """With nothing coded."""
        return OwnEncoder(self)

    def decoder(self, words: NDArray[np.uint32]) -> OwnDecoder:
        """At the start of ``words`` (W,)."""
        return OwnDecoder(self, words)


class OwnEncoder:
    """Symbols to words."""

    def __init__(self, coder: OwnCoder) -> None:
        self._coder = coder
        self._lower, self._width = 0, _ALL
        # Words that may hold a carry in bit 32, but for the last, which may still get one.
        self._settled: list[NDArray[np.int64]] = []
        self._last = 0

    def encode(self, symbols: NDArray[np.int32], table: Table) -> None:
        """Codes a run (M,).

        Raises:
            KeyError: If the table lacks one of ``symbols``, as constriction says it.
        """
        if int(symbols.min()) < 0 or int(symbols.max()) >= len(table.listed) - 1:
            raise KeyError("a symbol outside of its table")
        loops = self._coder.loops(len(symbols))
        cumulative = loops.cumulative(table)
        for start in range(0, len(symbols), _SLICE):
            part = symbols[start : start + _SLICE]
            words = np.zeros(len(part) + 1, dtype=np.int64)
            words[0] = self._last
            written = loops.vector(words)
            used, self._lower, self._width = loops.encode(
                loops.vector(part), cumulative, written, self._lower, self._width
            )
            self._settled.append(np.array(written[: used - 1], dtype=np.int64))
            self._last = int(written[used - 1])

    def words(self) -> NDArray[np.uint32]:
        """All words of a stream that ends here."""
        if self._width == _ALL:
            return np.zeros(0, dtype=np.uint32)
        end = (self._lower + _LOW) >> 32
        tail = [self._last, end]
        if (self._lower + self._width) >> 32 == end:
            tail.append(0)
        # The first word is the one before the stream: zero, as no carry leaves a stream.
        digits = np.concatenate([*self._settled, np.array(tail, dtype=np.int64)])
        low, carries = ((digits & _LOW).astype(">u4"), (digits >> 32).astype(">u4"))
        number = int.from_bytes(low.tobytes()) + (int.from_bytes(carries.tobytes()) << 32)
        return np.frombuffer(number.to_bytes(low.nbytes), dtype=">u4")[1:].astype(np.uint32)


class OwnDecoder:
    """Words to symbols."""

    def __init__(self, coder: OwnCoder, words: NDArray[np.uint32]) -> None:
        self._coder = coder
        self._words = words
        first, second = self._next_words(0, 2).tolist()
        self._place = 2
        self._point, self._width = first << 32 | second, _ALL

    def decode(self, count: int, table: Table) -> NDArray[np.int32]:
        """The next run, (count,).

        Raises:
            FormatError: If no encoder writes such words.
        """
        loops = self._coder.loops(count)
        cumulative = loops.cumulative(table)
        symbols = np.full(count, table.likely, dtype=np.int32)
        for start in range(0, count, _SLICE):
            part = symbols[start : start + _SLICE]
            filled = loops.vector(part)
            words = loops.vector(self._next_words(self._place, len(part)))
            taken, self._point, self._width = loops.decode(
                filled, table.likely, cumulative, words, self._point, self._width
            )
            if taken < 0:
                raise FormatError(INVALID)
            self._place += taken
            part[:] = filled
        return symbols

    def exhausted(self) -> bool:
        """Whether nothing but what seals a stream is left."""
        sealed = self._width == _ALL or self._point < _SLACK
        return self._place >= len(self._words) and sealed

    def _next_words(self, place: int, count: int) -> NDArray[np.uint64]:
        """(count,) from ``place`` on; zeros follow the last."""
        words = np.zeros(count, dtype=np.uint64)
        found = self._words[place : place + count]
        words[: len(found)] = found
        return words
