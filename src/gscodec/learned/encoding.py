"""Values to symbols: blocks are rounded and coded unit by unit, as `decoding` decodes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from gscodec.coding import Encoder
from gscodec.kinds import Values
from gscodec.learned import positions
from gscodec.learned.coding import encode_unit
from gscodec.learned.filling import Filling
from gscodec.learned.parallel import blocks, in_parallel
from gscodec.learned.rounding import expected, residuals_of, scattered
from gscodec.units import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from gscodec.fit.subject import Columns, Source, Work
    from gscodec.geometry import Lattice
    from gscodec.learned.model import Model
    from gscodec.learned.positions import Streams
    from gscodec.learned.run import Run
    from gscodec.payload import Attribute, Stream
    from gscodec.units import Expected

    Take = Callable[[NDArray[np.float64], NDArray[np.float64]], None]


class Placed(Protocol):
    """What `fit.subject.Work` says of places."""

    @property
    def codes(self) -> NDArray[np.uint64]: ...  # noqa: D102
    @property
    def index(self) -> NDArray[np.int64]: ...  # noqa: D102
    @property
    def lattice(self) -> Lattice: ...  # noqa: D102


class Settles(Protocol):
    """Adapts what is not coded yet to what is: `settling.Settling`."""

    def columns(self, number: int, done: Sequence[Block]) -> Columns:
        """Columns for unit ``number`` and those that follow; all before are ``done``."""

    def finish(self, done: Sequence[Block]) -> None:
        """All units are ``done``."""


class Block:
    """Rounds and codes some rows, one unit after the other.

    Attributes:
        rows: Which ones.
        place: Where they are.
        known: What a decoder knows by now.
        values: Of the units so far, as they will be decoded.
    """

    def __init__(self, model: Model, work: Placed, rows: slice) -> None:
        self.rows, self.place = rows, Place(work.codes[rows], work.lattice.bits)
        self.known = model.known(self.place)
        self.values: list[Values] = []
        self._index = work.index[rows]
        self._encoders: dict[Attribute, Encoder] = {}

    def round(self, wanted: NDArray[np.float64], log2_ideal: NDArray[np.float64]) -> None:
        """Decides what the next unit decodes to: rows of ``wanted`` (N, columns), about."""
        self._turns(wanted, log2_ideal, lambda residuals: None)  # noqa: ARG005

    def laws(self, wanted: NDArray[np.float64], log2_ideal: NDArray[np.float64]) -> Expected:
        """As `round`; gives how the unit would be coded."""
        known, parts = self.known, []
        turns = known.turns

        def note(residuals: NDArray[np.int64]) -> None:  # noqa: ARG001
            parts.append(expected(known))

        self._turns(wanted, log2_ideal, note)
        return scattered(parts, turns, len(wanted))

    def code(self, wanted: NDArray[np.float64], log2_ideal: NDArray[np.float64]) -> None:
        """Rounds and codes the next unit."""
        known = self.known
        encoder = self._encoders.setdefault(known.unit.attribute, Encoder())

        def code(residuals: NDArray[np.int64]) -> None:
            encode_unit(encoder, known.law(), residuals, known.present())

        self._turns(wanted, log2_ideal, code)

    def _turns(
        self,
        wanted: NDArray[np.float64],
        log2_ideal: NDArray[np.float64],
        use: Callable[[NDArray[np.int64]], None],
    ) -> None:
        """All turns of the next unit; ``use`` sees the residuals of each."""
        known = self.known
        unit, model = known.unit, known.model
        for rows in known.turns:
            residuals = residuals_of(known, wanted[rows], log2_ideal[rows], self._index[rows])
            use(residuals)
            values = known.add(residuals)
        self.values.append(Values(unit, model, values))

    def forget(self) -> None:
        """Gives the memory of what is known back; no further unit can be coded."""
        del self.known

    def finish(self) -> Streams:
        """The streams, one per attribute."""
        return [(a, encoder.finish()) for a, encoder in self._encoders.items()]


def in_turn(
    block: Block, source: Source, ideal: Sequence[NDArray[np.float64]], take: Take
) -> None:
    """``take`` gets the columns of each unit, adapted to what units before it decode to.

    Args:
        block: Whose next unit ``take`` decides.
        source: Of its rows.
        ideal: Log2 of the ideal steps of each unit.
        take: Of columns and their ideal steps.
    """
    columns: Columns = list(source.columns)
    for number, log2_ideal in enumerate(ideal):
        take(columns[number], log2_ideal)
        done = block.values[-1]
        columns = source.after(number, columns, done.quanta, done.floats(), moved=False)


class Done(NamedTuple):
    """All blocks, coded.

    Attributes:
        streams: Of each block.
        decoded: What they decode to.
        positions: Where they are, see `positions.works`.
    """

    streams: list[Streams]
    decoded: Filling
    positions: list[Stream]


def coded_positions(run: Run, work: Work) -> list[Stream]:
    """Of all parts."""
    block_size = run.options.block_size
    works = positions.works(work.codes, work.lattice.bits, block_size)
    parts = in_parallel(lambda part: part(), works, run.options.threads, lambda _: None)
    return positions.numbered(parts, block_size)


def _filling(run: Run, work: Work) -> Filling:
    """For what ``work`` decodes to."""
    return Filling(run.subject.kind, work.lattice, work.codes, run.given.room)


def settled_blocks(run: Run, work: Work, model: Model, lam: float, settling: Settles) -> Done:
    """All blocks, unit by unit: ``settling`` adapts what is not coded yet to what is."""
    ideal = work.source.ideal(run.subject.price(lam), lam)
    done = [Block(model, work, r) for r in blocks(len(work.codes), run.options.block_size)]
    for number in range(len(ideal)):
        columns = settling.columns(number, done)

        def step(block: Block, number: int = number, columns: Columns = columns) -> None:
            block.code(columns[number][block.rows], ideal[number][block.rows])

        in_parallel(step, done, run.options.threads, lambda _: None)
        run.progress("code", (number + 1) / len(ideal))
    settling.finish(done)
    filling = _filling(run, work)
    for block in done:
        filling.fill(block.rows, run.method.restore(model, block.place, block.values))
    return Done(
        [block.finish() for block in done],
        filling,
        coded_positions(run, work),
    )


def expected_laws(run: Run, work: Work, model: Model, lam: float) -> list[list[Expected]]:
    """How ``model`` is going to code each unit of each block: rounded, but nothing is coded."""
    ideal = work.source.ideal(run.subject.price(lam), lam)

    def of(rows: slice) -> list[Expected]:
        block = Block(model, work, rows)
        laws: list[Expected] = []

        def take(wanted: NDArray[np.float64], log2_ideal: NDArray[np.float64]) -> None:
            if block.known.unit.decides:
                block.round(wanted, log2_ideal)
            else:
                laws.append(block.laws(wanted, log2_ideal))

        in_turn(block, work.source.rows(rows), [own[rows] for own in ideal], take)
        return laws

    slices = blocks(len(work.codes), run.options.block_size)
    return in_parallel(of, slices, run.options.threads, lambda _: None)


def decoded_unit(
    blocks: Sequence[Block], number: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """What unit ``number`` decodes to, quanta and values of all ``blocks``, (N, columns)."""
    import numpy as np

    done = [block.values[number] for block in blocks]
    return np.concatenate([v.quanta for v in done]), np.concatenate([v.floats() for v in done])
