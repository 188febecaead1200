"""A scene that is made block by block, in any order, while its arrays are where there is room."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from gscodec.anchors import Scene
    from gscodec.geometry import Lattice
    from gscodec.kinds import Kind, Values
    from gscodec.payload import Attribute
    from gscodec.room import Room

_POSITIONS = "positions"


class Filling:
    """Fields and positions of all primitives.

    Attributes:
        positions: (N, 3) float32, of the blocks that are done.
    """

    def __init__(
        self, kind: Kind, lattice: Lattice, codes: NDArray[np.uint64], room: Room
    ) -> None:
        """Primitives are in the cells of ``lattice`` with Morton ``codes`` (N,)."""
        self._kind, self._lattice, self._codes, self._room = kind, lattice, codes, room
        self._fields = kind.empty(len(codes), room)
        self.positions: NDArray[np.float32] = room.empty((len(codes), 3), np.float32)

    def fill(self, rows: slice, decoded: Iterable[Values]) -> None:
        """A block: the units of ``rows`` as they are in the scene."""
        own = {name: field[rows] for name, field in self._fields.items()}
        self._kind.fill(own, decoded)
        self.positions[rows] = self._kind.positions(self._lattice, self._codes[rows], own)
        self._room.leave()

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """All of it, by name."""
        return {**self._fields, _POSITIONS: self.positions}

    def put(self, rows: slice, arrays: Mapping[str, NDArray[np.float32]]) -> None:
        """Some ``rows``, as `arrays` gives them."""
        for name, array in self.arrays().items():
            array[rows] = arrays[name]
        self._room.leave()

    def scene(self, streams: Mapping[tuple[Attribute, int], bytes]) -> Scene:
        """All of it; ``streams`` hold those of `Kind.shared`."""
        return self._kind.scene(self.positions, self._fields, streams)
