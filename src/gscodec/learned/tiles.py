"""Tiles: runs of whole blocks that are measured and coded apart, in any order, by anybody.

Invariant: what a block is coded to depends on nothing but its own rows and on what is known of
the whole scene (model, `fit.estimate.About`), so that neither tiles nor workers change a byte.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gscodec._version import __version__
from gscodec.learned import positions
from gscodec.learned.encoding import Block, Done, coded_positions, in_turn
from gscodec.learned.filling import Filling
from gscodec.learned.parallel import blocks, in_parallel
from gscodec.payload import Attribute
from gscodec.room import MEMORY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from gscodec.anchors import Scene
    from gscodec.fit.subject import Source, Work
    from gscodec.geometry import Lattice
    from gscodec.kinds import Kind
    from gscodec.learned.encoding import Take
    from gscodec.learned.model import Model, Restore
    from gscodec.learned.positions import Streams
    from gscodec.learned.run import Run
    from gscodec.room import Room
    from gscodec.tiling import Arrays

_FIELD = "field "  # begins the name of a field among arrays that are kept


@dataclass(frozen=True)
class Tile:
    """Everything that it takes to code some rows; can be sent elsewhere.

    Attributes:
        kind: Of the scene.
        model: How it is coded.
        restore: See `model.Learner`.
        source: What is coded.
        index: Which primitives they are, see `subject.Work`.
        lattice: Of the positions.
        codes: Their Morton codes.
        price: What a bit is worth.
        lam: At this lambda.
        block_size: Rows of a block.
        threads: Of whoever codes it; None takes all.
    """

    kind: Kind
    model: Model
    restore: Restore
    source: Source
    index: NDArray[np.int64]
    lattice: Lattice
    codes: NDArray[np.uint64]
    price: float
    lam: float
    block_size: int
    threads: int | None

    @classmethod
    def of(cls, run: Run, work: Work, model: Model, lam: float) -> Tile:
        """All of ``work``."""
        return cls(
            run.subject.kind,
            model,
            run.method.restore,
            work.source,
            work.index,
            work.lattice,
            work.codes,
            run.subject.price(lam),
            lam,
            run.options.block_size,
            run.options.threads,
        )

    def part(self, rows: slice) -> Tile:
        """Some of its rows, whole blocks."""
        return replace(
            self,
            source=self.source.part(rows),
            index=self.index[rows],
            codes=self.codes[rows],
        )

    def filling(self, room: Room) -> Filling:
        """For what it decodes to."""
        return Filling(self.kind, self.lattice, self.codes, room)

    def works(self, filling: Filling) -> list[Callable[[], Streams]]:
        """Each gives the streams of a block; what it decodes to goes to ``filling``."""

        def whole(rows: slice) -> Streams:
            block = Block(self.model, self, rows)
            self._through(block, block.code, filling)
            return block.finish()

        return [partial(whole, rows) for rows in blocks(len(self.codes), self.block_size)]

    def decoded(self, room: Room) -> Scene:
        """What it decodes to; nothing is coded."""
        filling = self.filling(room)

        def whole(rows: slice) -> None:
            block = Block(self.model, self, rows)
            self._through(block, block.round, filling)

        parts = blocks(len(self.codes), self.block_size)
        in_parallel(whole, parts, self.threads, lambda _: None)
        return filling.scene({})

    def _through(self, block: Block, take: Take, filling: Filling) -> None:
        """Each unit of ``block`` in turn; what they decode to goes to ``filling``."""
        source = self.source.rows(block.rows)
        in_turn(block, source, source.ideal(self.price, self.lam), take)
        block.forget()
        filling.fill(block.rows, self.restore(self.model, block.place, block.values))

    def coded(self, filling: Filling) -> list[Streams]:
        """The streams of all blocks."""
        return in_parallel(_done, self.works(filling), self.threads, lambda _: None)


def _done(work: Callable[[], Streams]) -> Streams:
    return work()


class Apart(NamedTuple):
    """A tile that was coded elsewhere.

    Attributes:
        streams: Of each block.
        arrays: What they decode to, see `Filling.arrays`.
    """

    streams: list[Streams]
    arrays: Arrays

    def kept(self) -> Arrays:
        """As arrays alone."""
        flat = [stream for block in self.streams for stream in block]
        return {
            "counts": np.array([len(block) for block in self.streams]),
            "attributes": np.array([attribute for attribute, _ in flat]),
            "sizes": np.array([len(data) for _, data in flat]),
            "data": np.frombuffer(b"".join(data for _, data in flat), np.uint8),
            **{_FIELD + name: array for name, array in self.arrays.items()},
        }

    @classmethod
    def of(cls, kept: Arrays) -> Apart:
        """Inverse of `kept`."""
        ends = np.cumsum(kept["sizes"]).tolist()
        data = kept["data"].tobytes()
        attributes = [Attribute(number) for number in kept["attributes"].tolist()]
        pairs = zip(attributes, [0, *ends], ends, strict=False)
        flat = iter([(attribute, data[start:end]) for attribute, start, end in pairs])
        streams = [[next(flat) for _ in range(count)] for count in kept["counts"].tolist()]
        fields = {n[len(_FIELD) :]: a for n, a in kept.items() if n.startswith(_FIELD)}
        return cls(streams, fields)


def coded_apart(tile: Tile) -> Apart:
    """What a worker does."""
    filling = tile.filling(MEMORY)
    return Apart(tile.coded(filling), filling.arrays())


def coded_blocks(run: Run, work: Work, model: Model, lam: float) -> Done:
    """All blocks of ``work`` under ``model``, each for itself."""
    tile, tiling = Tile.of(run, work, model, lam), run.given.tiling
    filling = tile.filling(run.given.room)
    report = partial(run.progress, "code")
    if tiling is None:
        # The longest works first, so that no thread waits for one in the end.
        own = tile.works(filling)
        where = positions.works(work.codes, work.lattice.bits, tile.block_size)
        done = in_parallel(_done, [*own, *where], tile.threads, report)
        parts = positions.numbered(done[len(own) :], tile.block_size)
        return Done(done[: len(own)], filling, parts)
    rows = tiling.cut(len(work.codes), run.options.block_size)
    kept = tiling.kept
    name = _names(run, work, model, tile) if kept else None
    found: dict[int, list[Streams]] = {}

    def take(number: int, apart: Apart) -> None:
        filling.put(rows[number], apart.arrays)
        found[number] = apart.streams
        report(len(found) / len(rows))

    def left() -> Iterator[tuple[int, Tile]]:
        for number, own in enumerate(rows):
            before = kept.get(name(own)) if kept and name else None
            if before is not None:
                take(number, Apart.of(before))
            else:
                yield number, tile.part(own)

    for number, apart in tiling.workers.results(coded_apart, left()):
        if kept and name:
            kept.put(name(rows[number]), apart.kept())
        take(number, apart)
    streams = [stream for number in sorted(found) for stream in found[number]]
    return Done(streams, filling, coded_positions(run, work))


def _names(run: Run, work: Work, model: Model, tile: Tile) -> Callable[[slice], str]:
    """Under which each tile is kept: of nothing else, whatever was run before."""
    told: list[Any] = [__version__, run.method.name, tile.price, tile.lam, tile.block_size]
    key = hashlib.sha256(repr(told).encode())
    key.update(work.scene.digest(run.given.room))
    for attribute, data in sorted(model.streams().items()):
        key.update(bytes([attribute]) + data)
    start = key.hexdigest()[:32]
    return lambda rows: f"{start}-{rows.start}-{rows.stop}.npz"
