"""Bytes to a scene, or to bits per primitive; the bytes are specified in format-spec.md.

Both open a file, then go through its blocks: one makes a scene of the decoded units, the other
counts what they took.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from gscodec.bitmap import BitMap
from gscodec.coding import Decoder
from gscodec.errors import FormatError
from gscodec.fit.options import MAX_BLOCK_SIZE
from gscodec.geometry import Lattice
from gscodec.kinds import Values, kind_of
from gscodec.kinds.outliers import decode_outliers, outlier_count, with_outliers
from gscodec.learned import positions
from gscodec.learned.coding import bits_of_unit, decode_unit
from gscodec.learned.filling import Filling
from gscodec.learned.model import as_coded
from gscodec.learned.parallel import blocks, in_parallel
from gscodec.method import Progress, streams_of
from gscodec.payload import Attribute, Header, Payload
from gscodec.room import MEMORY
from gscodec.units import Place

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from gscodec.anchors import Scene
    from gscodec.kinds import Kind
    from gscodec.kinds.outliers import Arrays
    from gscodec.learned.model import Learner, Model, Restore
    from gscodec.room import Room

# What the blocks at work may take together, and a value of the unit at work, about: levels,
# steps, order and symbols of the coder, residuals twice if some are absent, the value.
_WORKING_BYTES = 1 << 30
_UNIT_BYTES = 40


@dataclass(frozen=True)
class Decoded(Values):
    """A unit of one block, and what it took.

    Attributes:
        bits: (rows,) float32; zeros unless asked for.
    """

    bits: NDArray[np.float32]


@dataclass(frozen=True)
class Opened:
    """A file of which everything is decoded but its blocks.

    Attributes:
        kind: Of its scene.
        model: How its blocks are coded.
        streams: By attribute and block.
        lattice: Of positions.
        place: Where the primitives are that are not outliers.
        parts: The first block of each part of their positions.
        outliers: Arrays of the others, which come last; nothing if there are none.
        slices: The rows of each block.
        restore: Coded units of a block to those of the scene: see `model.Learner`.
    """

    kind: Kind
    model: Model
    streams: dict[tuple[Attribute, int], bytes]
    lattice: Lattice
    place: Place
    parts: list[int]
    outliers: Arrays
    slices: list[slice]
    restore: Restore = as_coded

    def scene_units(self, number: int, coded: Iterable[Values]) -> Iterable[Values]:
        """The units of block ``number``, from those that are ``coded``, as they are in the scene."""
        place = Place(self.place.codes[self.slices[number]], self.place.bits)
        return self.restore(self.model, place, coded)

    def threads(self, wanted: int | None) -> int:
        """As many as are ``wanted``, or fewer, so that their blocks fit `_WORKING_BYTES`."""
        rows = int(self.slices[0].stop)
        columns = [unit.columns for unit in self.kind.units]
        values = sum(columns) if self.kind.keeps_quanta else 0
        row = self.model.width + 8 * values + _UNIT_BYTES * max(columns)
        return min(wanted or os.cpu_count() or 1, max(1, _WORKING_BYTES // (rows * row)))

    def block(self, number: int, *, counts: bool = False) -> Iterator[Decoded]:
        """The units of block ``number``, in coding order, with bits if it ``counts`` them.

        Raises:
            FormatError: A stream is damaged; of bytes left over, at the end of the iteration.
        """
        decoders = {a: Decoder(self.streams[a, number]) for a in _by_block(self.kind)}
        codes = self.place.codes[self.slices[number]]
        known = self.model.known(Place(codes, self.place.bits))
        for unit in self.kind.units:
            model = known.model
            bits = np.zeros(len(codes), np.float32)
            for rows in known.turns:
                law, present = known.law(), known.present()
                residuals = decode_unit(decoders[unit.attribute], law, present)
                if counts:
                    bits[rows] = bits_of_unit(law, residuals, present)
                values = known.add(residuals)
            yield Decoded(unit, model, values, bits)
        for decoder in decoders.values():
            decoder.finish()


def open_payload(
    payload: Payload,
    method: Learner,
    progress: Progress,
    threads: int | None,
    room: Room,
) -> Opened:
    """Decodes the model and positions.

    Args:
        payload: The file.
        method: Whose file it is.
        progress: Hears how far the work is.
        threads: As many as processors if None.
        room: Where positions are.

    Raises:
        FormatError: Streams are missing or inconsistent.
    """
    header, kind = payload.header, kind_of(payload)
    outliers = decode_outliers(payload, kind)
    count = header.count - outlier_count(outliers)
    _check_header(header, count, len(payload.streams), method.name)
    slices = blocks(count, header.block_size)
    exact = [Attribute.OUTLIER] if outliers else []
    found = {stream.attribute for stream in payload.streams}
    shared = [a for a in method.shared if a in found or a not in method.optional]
    whole = ((a, 0) for a in (*shared, *kind.shared, *exact))
    parts = positions.first_blocks(payload.streams, len(slices))
    by_part = ((Attribute.POSITION, b) for b in parts)
    by_block = ((a, b) for b in range(len(slices)) for a in _by_block(kind))
    streams = streams_of(payload, (*whole, *by_part, *by_block))
    progress("networks", 0.0)
    model = method.read(streams, kind.units, header.position_bits)
    progress("positions", 0.0)
    report, depth = partial(progress, "positions"), header.position_bits
    codes = positions.decode(streams, parts, slices, depth, threads, report, room)
    lattice = Lattice(header.lattice_origin, header.lattice_step, header.position_bits)
    place = Place(codes, header.position_bits)
    model = method.placed(model, place)
    return Opened(kind, model, streams, lattice, place, parts, outliers, slices, method.restore)


def _by_block(kind: Kind) -> tuple[Attribute, ...]:
    """Attributes that have a stream in every block."""
    return tuple(dict.fromkeys(unit.attribute for unit in kind.units))


def _check_header(header: Header, count: int, streams: int, name: str) -> None:
    """Refuses what the container allows and these methods do not, of ``count`` in blocks."""
    if not header.count or not header.position_bits:
        raise FormatError(
            f"method {name}: found {header.count} primitives and {header.position_bits} position "
            "bits, expected at least 1 of each"
        )
    if header.block_size > MAX_BLOCK_SIZE:
        raise FormatError(
            f"method {name}: found blocks of {header.block_size}, expected at most "
            f"{MAX_BLOCK_SIZE}"
        )
    if -(-count // header.block_size) > streams:
        raise FormatError(
            f"method {name}: {streams} streams cannot hold {count} primitives "
            f"in blocks of {header.block_size}"
        )


def scene_of(
    opened: Opened, progress: Progress, threads: int | None, room: Room = MEMORY
) -> Scene:
    """The scene, block by block, with as many ``threads`` as processors if None.

    Its arrays are where there is ``room``.

    Raises:
        FormatError: A stream is damaged.
    """
    filling = Filling(opened.kind, opened.lattice, opened.place.codes, room)

    def work(number: int) -> None:
        units = opened.scene_units(number, opened.block(number))
        filling.fill(opened.slices[number], units)

    numbers, report = range(len(opened.slices)), partial(progress, "decode")
    in_parallel(work, numbers, opened.threads(threads), report)
    return with_outliers(filling.scene(opened.streams), opened.outliers, room)


def bit_map_of(opened: Opened, progress: Progress, threads: int | None) -> BitMap:
    """The ideal cost of each primitive under the tables that code it.

    Positions share the stream of their part evenly: an octree codes them together. Streams are a little
    longer than the sum, by what the range coder needs to end.

    Raises:
        FormatError: A stream is damaged.
    """
    filling = Filling(opened.kind, opened.lattice, opened.place.codes, MEMORY)

    def block(number: int) -> dict[Attribute, NDArray[np.float32]]:
        units = list(opened.block(number, counts=True))
        filling.fill(opened.slices[number], opened.scene_units(number, units))
        bits: dict[Attribute, NDArray[np.float32]] = {}
        for found in units:
            attribute = found.unit.attribute
            bits[attribute] = bits.get(attribute, np.float32(0)) + found.bits
        return bits

    numbers = range(len(opened.slices))
    parts = in_parallel(block, numbers, opened.threads(threads), partial(progress, "decode"))
    bits = {a: np.concatenate([part[a] for part in parts]) for a in parts[0]}
    places, bits = filling.positions, {Attribute.POSITION: _of_positions(opened), **bits}
    whole = {a: 8.0 * len(data) for (a, _), data in opened.streams.items() if a not in bits}
    if opened.outliers:
        own = opened.outliers
        places, bits = _with_outliers(own, places, bits, whole.pop(Attribute.OUTLIER))
    return BitMap(opened.kind.scene_kind, places, bits, shared=whole)


def _of_positions(opened: Opened) -> NDArray[np.float32]:
    """Bits (N,) of each position."""
    starts = [opened.slices[first].start for first in opened.parts]
    counts = np.diff(starts, append=len(opened.place.codes))
    sizes = [len(opened.streams[Attribute.POSITION, first]) for first in opened.parts]
    each = 8 * np.array(sizes) / counts
    return np.repeat(each.astype(np.float32), counts)


def _with_outliers(
    outliers: Arrays,
    positions: NDArray[np.float32],
    bits: dict[Attribute, NDArray[np.float32]],
    size: float,
) -> tuple[NDArray[np.float32], dict[Attribute, NDArray[np.float32]]]:
    """``positions`` and ``bits`` with the ``outliers``, whose rows are alike and of ``size`` bits in all."""
    count, rows = len(positions), outlier_count(outliers)
    exact = np.zeros(count + rows, dtype=np.float32)
    exact[count:] = size / rows
    longer = {a: np.pad(each, (0, rows)) for a, each in bits.items()}
    theirs = next(iter(outliers.values())).astype(np.float32)
    return np.concatenate([positions, theirs]), {**longer, Attribute.OUTLIER: exact}
