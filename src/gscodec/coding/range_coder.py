"""Symbols <-> bytes through a range coder that is driven by integer frequencies only.

Strategy: a `Model` is a frozen table of integer frequencies that sum to 2**24. Symbols are
coded in runs that share a table: exact, and far faster than a table per symbol. The coder
itself is one of `coders`; the reference decoder in tests/ is a third, written from the
specification.

Rule to remember: nothing here may depend on a float that is not an exact integer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gscodec.coding import coders
from gscodec.errors import FormatError
from gscodec.slices import in_slices

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

FREQUENCY_BITS = 24
_TOTAL = 1 << FREQUENCY_BITS
_WORD_BYTES = 4
_AT_ONCE = 1 << 15  # symbols put in order together: few enough for a cache


class Model:
    """A frequency table over the symbols 0 .. S-1.

    Args:
        frequencies: (S,) integers, S >= 2, each >= 1, summing to 2**24.

    Attributes:
        frequencies: The same, (S,) int64.

    Raises:
        FormatError: If the frequencies break these rules (tables can come from a file).
    """

    __slots__ = ("_prepared", "frequencies")

    def __init__(self, frequencies: NDArray[np.integer]) -> None:
        f = np.asarray(frequencies, dtype=np.int64)
        # Invariant: every frequency >= 1, so every symbol stays encodable.
        if f.ndim != 1 or f.size < 2 or int(f.min()) < 1 or int(f.sum()) != _TOTAL:
            raise FormatError(
                f"frequency table: found {f.size} entries summing to {int(f.sum())}, "
                f"expected at least 2 entries, each at least 1, summing to {_TOTAL}"
            )
        self.frequencies = f
        self._prepared: tuple[coders.Coder, Any] | None = None

    def __len__(self) -> int:
        return int(self.frequencies.size)

    def table_of(self, coder: coders.Coder) -> Any:
        """What ``coder`` takes as its table, made once."""
        if self._prepared is None or self._prepared[0] is not coder:
            self._prepared = coder, coder.table(self.frequencies)
        return self._prepared[1]

    @classmethod
    def from_counts(cls, counts: NDArray[np.integer]) -> Model:
        """The table nearest to ``counts`` (S,), by integer arithmetic alone.

        Every symbol gets 1, the rest is shared in proportion (floor), and what rounding
        leaves over goes to the first most frequent symbol.
        """
        c = np.asarray(counts, dtype=np.int64)
        spare = _TOTAL - c.size
        total = max(int(c.sum()), 1)
        f = 1 + c * spare // total  # below 2**63: counts are below 2**32, spare below 2**24
        f[int(np.argmax(c))] += _TOTAL - int(f.sum())
        return cls(f)

    @classmethod
    def uniform(cls, size: int) -> Model:
        """All symbols alike; ``size`` must be a power of two up to 2**16."""
        return cls(np.full(size, _TOTAL // size, dtype=np.int64))


def cost_in_bits(symbols: NDArray[np.integer], model: Model) -> float:
    """Ideal code length of ``symbols`` (any shape) under ``model``, in bits."""
    counts = np.bincount(np.ravel(symbols), minlength=len(model))
    return float(counts @ (FREQUENCY_BITS - np.log2(model.frequencies)))


class Part(NamedTuple):
    """Some of the symbols that are coded together, by rising table.

    Attributes:
        rows: Which ones of all.
        order: (m,) where among these each is.
        counts: How many there are of each table.
        symbols: (m,) int32.
    """

    rows: slice
    order: NDArray[np.intp]
    counts: NDArray[np.intp]
    symbols: NDArray[np.int32]


class Encoder:
    """Collects symbols and gives bytes. The decoder must ask for the same runs in order."""

    def __init__(self) -> None:
        self._coder = coders.chosen()
        self._runs = self._coder.encoder()

    def encode(self, symbols: NDArray[np.integer], model: Model) -> None:
        """Codes ``symbols`` (M,), each in 0 .. len(model)-1, with one table."""
        if symbols.size:
            run = np.ascontiguousarray(symbols, dtype=np.int32)
            self._runs.encode(run, model.table_of(self._coder))

    def encode_grouped(
        self, symbols: NDArray[np.integer], tables: NDArray[np.integer], models: Sequence[Model]
    ) -> None:
        """Codes ``symbols`` (M,) with ``models[tables[i]]`` each, in runs by rising table."""
        order = np.argsort(tables, kind="stable")
        ends = np.cumsum(np.bincount(tables, minlength=len(models)))
        ordered = np.ascontiguousarray(symbols[order], dtype=np.int32)
        start = 0
        for model, end in zip(models, ends.tolist(), strict=True):
            self.encode(ordered[start:end], model)
            start = end

    def finish(self) -> bytes:
        """All words so far, little-endian, without trailing padding."""
        return self._runs.words().astype("<u4").tobytes()


class Decoder:
    """Gives back the symbols that an `Encoder` was fed, run by run.

    Raises:
        FormatError: When the bytes cannot come from an encoder.
    """

    def __init__(self, data: bytes) -> None:
        if len(data) % _WORD_BYTES:
            raise FormatError(
                f"coded stream: found {len(data)} bytes, expected a multiple of {_WORD_BYTES}"
            )
        words = np.frombuffer(data, dtype="<u4").astype(np.uint32)
        self._coder = coders.chosen()
        self._runs = self._coder.decoder(words)

    def decode(self, count: int, model: Model) -> NDArray[np.int32]:
        """The next ``count`` symbols, (count,) int32, of a run coded with ``model``."""
        if not count:
            return np.zeros(0, dtype=np.int32)
        return self._runs.decode(count, model.table_of(self._coder))

    def decode_grouped(
        self, tables: NDArray[np.integer], models: Sequence[Model]
    ) -> NDArray[np.int32]:
        """Inverse of `Encoder.encode_grouped`: (M,) int32 for ``tables`` (M,)."""
        symbols = np.empty(len(tables), dtype=np.int32)
        for part in self.decode_parts(tables, models):
            symbols[part.rows][part.order] = part.symbols
        return symbols

    def decode_parts(
        self, tables: NDArray[np.integer], models: Sequence[Model]
    ) -> Iterator[Part]:
        """What `decode_grouped` puts in order, some symbols at a time."""
        if not len(tables):
            return
        slices = list(in_slices(len(tables), _AT_ONCE))
        counts = np.array([np.bincount(tables[rows], minlength=len(models)) for rows in slices])
        ends = np.cumsum(counts, axis=0)
        present = np.flatnonzero(ends[-1]).tolist()
        runs = [self.decode(int(ends[-1, table]), models[table]) for table in present]
        starts, stops = (each[:, present].tolist() for each in (ends - counts, ends))
        for rows, count, start, stop in zip(slices, counts, starts, stops, strict=True):
            order = np.argsort(tables[rows], kind="stable")
            own = [run[a:b] for run, a, b in zip(runs, start, stop, strict=True)]
            yield Part(rows, order, count, np.concatenate(own))

    def finish(self) -> None:
        """Checks that nothing but the coder's own padding is left."""
        if not self._runs.exhausted():
            raise FormatError("coded stream: bytes left over after the last symbol")
