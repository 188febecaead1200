"""Positions in several parts: the same scene, whoever decodes them, and no part out of place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference_decoder as reference
import reference_hemgs
from gscodec.container import pack, unpack
from gscodec.errors import FormatError
from gscodec.learned import positions
from gscodec.learned.parallel import blocks
from gscodec.methods import hemgs
from gscodec.payload import Attribute, Payload, Stream
from scenes import silent

if TYPE_CHECKING:
    from numpy.typing import NDArray

VECTORS = Path(__file__).parent / "vectors" / "hemgs"
PARTS = {"two_parts_of_positions": [0, 3], "anchors_three_parts_of_positions": [0, 2, 4]}


def coded(codes: NDArray[np.uint64], bits: int, block_size: int) -> list[Stream]:
    """All parts of ``codes``."""
    return positions.numbered(
        [part() for part in positions.works(codes, bits, block_size)], block_size
    )


def decoded(
    streams: list[Stream], count: int, bits: int, block_size: int, threads: int
) -> NDArray[np.uint64]:
    """What a decoder makes of them."""
    slices = blocks(count, block_size)
    firsts = positions.first_blocks(streams, len(slices))
    by_block = {(s.attribute, s.block): s.data for s in streams}
    return positions.decode(by_block, firsts, slices, bits, threads, lambda _: None)


@given(
    st.lists(st.integers(0, 8**5 - 1), min_size=1, max_size=200),
    st.integers(1, 70),
    st.integers(1, 3),
)
def test_parts_give_the_codes_back(found: list[int], block_size: int, threads: int) -> None:
    codes = np.sort(np.array(found, np.uint64))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(positions, "PART", 50)
        streams = coded(codes, 5, block_size)
    rows = max(1, 50 // block_size) * block_size
    assert [s.block * block_size for s in streams] == list(range(0, len(codes), rows))
    assert decoded(streams, len(codes), 5, block_size, threads).tolist() == codes.tolist()


def test_few_primitives_have_one_part() -> None:
    codes = np.arange(3000, dtype=np.uint64)
    assert [s.block for s in coded(codes, 4, 100)] == [0]


def example(name: str) -> Payload:
    """A file with several parts."""
    return unpack((VECTORS / f"{name}.gsz").read_bytes())


@pytest.mark.parametrize("name", PARTS)
def test_a_stream_has_the_number_of_its_first_block(name: str) -> None:
    payload = example(name)
    found = [s.block for s in payload.streams if s.attribute is Attribute.POSITION]
    assert found == PARTS[name]
    opened = hemgs.METHOD.opened(payload, silent, 2)
    assert opened.parts == PARTS[name]
    assert (np.diff(opened.place.codes.astype(np.int64)) >= 0).all()


def moved(payload: Payload, blocks_of: dict[int, int]) -> Payload:
    """``payload`` with other numbers of the parts of its positions; None are left out."""
    streams = tuple(
        replace(s, block=blocks_of[s.block]) if s.attribute is Attribute.POSITION else s
        for s in payload.streams
        if s.attribute is not Attribute.POSITION or s.block in blocks_of
    )
    order = sorted(streams, key=lambda s: (s.attribute, s.block))
    return replace(payload, streams=tuple(order))


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({0: 2, 2: 0, 4: 4}, "expected rising Morton codes"),
        ({2: 2, 4: 4}, "stream POSITION, block 0: missing"),
        ({0: 1, 2: 2, 4: 4}, "stream POSITION, block 0: missing"),
        ({0: 0, 2: 2, 4: 5}, "stream POSITION, block 5: not expected"),
        ({0: 0, 2: 2}, "octree"),
        ({0: 0, 2: 3, 4: 4}, "octree|range decoder|coded stream"),
    ],
    ids=["swapped", "no first", "later", "beyond", "one left out", "other blocks"],
)
def test_parts_out_of_place_are_refused(numbers: dict[int, int], message: str) -> None:
    payload = moved(example("anchors_three_parts_of_positions"), numbers)
    with pytest.raises(FormatError, match=message):
        hemgs.decode(payload, silent)
    file = reference.read_file(pack(payload))
    with pytest.raises((reference.BadFileError, ValueError)):
        reference_hemgs.decode_hemgs(file)


def test_all_parts_say_how_many_primitives_they_have() -> None:
    """Of a part that holds fewer or more points nothing is taken from the next."""
    codes = np.arange(100, dtype=np.uint64)
    short = coded(codes[:40], 3, 60)
    with pytest.raises(FormatError):
        decoded(short, 60, 3, 60, 1)
