"""Cells of a scene <-> one octree for some blocks at a time.

Strategy: an octree takes memory and time by the primitives that it holds, and one core; several
of them are coded beside each other, each in bounded memory, and lose contexts only where they
meet.

Invariant: a part is whole blocks along the Morton curve, and its stream has the number of the
first of them.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from gscodec.coding import Decoder, Encoder
from gscodec.errors import FormatError
from gscodec.geometry import octree
from gscodec.learned.parallel import blocks, in_parallel
from gscodec.payload import Attribute, Stream
from gscodec.room import MEMORY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from gscodec.room import Room

    Streams = list[tuple[Attribute, bytes]]

PART = 1 << 18  # primitives, about: of a million 0.2 % of the octree are lost contexts


def works(codes: NDArray[np.uint64], bits: int, block_size: int) -> list[Callable[[], Streams]]:
    """Each gives the stream of a part of rising Morton ``codes`` (N,), each below 8**bits."""

    def part(rows: slice) -> Streams:
        encoder = Encoder()
        octree.encode(codes[rows], bits, encoder)
        return [(Attribute.POSITION, encoder.finish())]

    size = block_size * _blocks_of_part(block_size)
    return [partial(part, rows) for rows in blocks(len(codes), size)]


def numbered(parts: Iterable[Streams], block_size: int) -> list[Stream]:
    """Streams of all ``parts``, which are in order: see `works`."""
    step = _blocks_of_part(block_size)
    return [
        Stream(attribute, number * step, data)
        for number, part in enumerate(parts)
        for attribute, data in part
    ]


def _blocks_of_part(block_size: int) -> int:
    return max(1, PART // block_size)


def first_blocks(streams: Iterable[Stream], count: int) -> list[int]:
    """The first block of each part of ``count`` blocks, rising; the first is 0."""
    found = {s.block for s in streams if s.attribute is Attribute.POSITION and s.block < count}
    return sorted({0, *found})


def decode(
    streams: Mapping[tuple[Attribute, int], bytes],
    firsts: Sequence[int],
    slices: Sequence[slice],
    bits: int,
    threads: int | None,
    progress: Callable[[float], None],
    room: Room = MEMORY,
) -> NDArray[np.uint64]:
    """Inverse of `works`: (N,) rising codes.

    Args:
        streams: By attribute and block.
        firsts: See `first_blocks`.
        slices: The rows of each block.
        bits: Depth of the octrees.
        threads: As many as processors if None.
        progress: Called with the share that is done.
        room: Where the codes are.

    Raises:
        FormatError: A stream is damaged, or the parts are not in order.
    """
    starts = [int(slices[first].start) for first in firsts]
    codes: NDArray[np.uint64] = room.empty((int(slices[-1].stop),), np.uint64)
    ends = [*starts[1:], len(codes)]

    def part(number: int) -> None:
        rows = slice(starts[number], ends[number])
        decoder = Decoder(streams[Attribute.POSITION, firsts[number]])
        codes[rows] = octree.decode(decoder, rows.stop - rows.start, bits)
        decoder.finish()
        room.leave()

    in_parallel(part, range(len(firsts)), threads, progress)
    for start in starts[1:]:
        if codes[start] < codes[start - 1]:
            raise FormatError(
                f"stream POSITION: found primitive {start} before the last one of the part "
                "that it follows, expected rising Morton codes"
            )
    return codes
