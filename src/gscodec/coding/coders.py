"""Which range coder does the work: constriction where it is installed, else our own.

Both write and read the same bits. numba is loaded only where constriction is missing, and
only if it is installed: it makes our own coder as fast as constriction.

Rule to remember: `chosen` is the only place that decides; tests replace it.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from gscodec.coding.own_coder import INVALID, OwnCoder
from gscodec.errors import FormatError

if TYPE_CHECKING:
    from numpy.typing import NDArray


class RunEncoder(Protocol):
    """Symbols to words."""

    def encode(self, symbols: NDArray[np.int32], table: Any) -> None:
        """Codes a run (M,), M >= 1, C-contiguous."""

    def words(self) -> NDArray[np.uint32]:
        """All words of a stream that ends here."""


class RunDecoder(Protocol):
    """Words to symbols."""

    def decode(self, count: int, table: Any) -> NDArray[np.int32]:
        """The next run, (count,), count >= 1; FormatError if no encoder writes such words."""

    def exhausted(self) -> bool:
        """Whether nothing but what seals a stream is left."""


class Coder(Protocol):
    """One implementation of the range coder of the specification."""

    def table(self, frequencies: NDArray[np.int64]) -> Any:
        """What its runs take as a table: (S,) integers >= 1 that sum to 2**24."""

    def encoder(self) -> RunEncoder:
        """With nothing coded."""

    def decoder(self, words: NDArray[np.uint32]) -> RunDecoder:
        """At the start of ``words`` (W,)."""


@cache
def chosen() -> Coder:
    """constriction, or our own coder where importing that fails."""
    try:
        return ConstrictionCoder()
    except ImportError:
        return OwnCoder()


class ConstrictionCoder:
    """constriction's, driven by integer frequencies only; ImportError where it is missing.

    constriction turns probabilities into integers by adding one to each of them, so a table
    passed as f - 1 with ``perfect=False`` is reproduced exactly.
    """

    def __init__(self) -> None:
        import constriction

        self._stream = constriction.stream

    def table(self, frequencies: NDArray[np.int64]) -> Any:
        """A model of constriction."""
        weights = (frequencies - 1).astype(np.float64)
        return self._stream.model.Categorical(weights, perfect=False)

    def encoder(self) -> RunEncoder:
        """With nothing coded."""
        return _ConstrictionEncoder(self._stream.queue.RangeEncoder())

    def decoder(self, words: NDArray[np.uint32]) -> RunDecoder:
        """At the start of ``words``."""
        return _ConstrictionDecoder(self._stream.queue.RangeDecoder(words))


class _ConstrictionEncoder:
    """`RunEncoder`."""

    def __init__(self, encoder: Any) -> None:
        self._encoder = encoder

    def encode(self, symbols: NDArray[np.int32], table: Any) -> None:
        """Codes a run."""
        self._encoder.encode(symbols, table)

    def words(self) -> NDArray[np.uint32]:
        """All words of a stream that ends here."""
        words: NDArray[np.uint32] = self._encoder.get_compressed()
        return words


class _ConstrictionDecoder:
    """`RunDecoder`."""

    def __init__(self, decoder: Any) -> None:
        self._decoder = decoder

    def decode(self, count: int, table: Any) -> NDArray[np.int32]:
        """The next run."""
        try:
            symbols: NDArray[np.int32] = self._decoder.decode(table, count)
        except AssertionError as error:
            raise FormatError(INVALID) from error
        return symbols

    def exhausted(self) -> bool:
        """Whether nothing but what seals a stream is left."""
        return bool(self._decoder.maybe_exhausted())
