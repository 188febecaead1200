"""What every kind of scene can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from gscodec.geometry import morton
from gscodec.room import MEMORY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from gscodec.anchors import Scene
    from gscodec.geometry import Lattice
    from gscodec.intnet.context import AnyModel
    from gscodec.payload import Attribute, SceneKind
    from gscodec.room import Room
    from gscodec.units import Unit

Fields = dict[str, "NDArray[np.float32]"]  # arrays of a scene by field name, positions aside


@dataclass(frozen=True)
class Values:
    """A unit of one block as it is decoded.

    Attributes:
        unit: Which one.
        model: What the file says about it.
        quanta: (rows, columns) int64.
    """

    unit: Unit
    model: AnyModel
    quanta: NDArray[np.int64]

    def floats(self, rows: slice = slice(None)) -> NDArray[np.float64]:
        """The values of ``rows``, exact."""
        return self.model.floats(self.quanta[rows])


class Kind(ABC):
    """How a scene of one kind is made of units.

    Attributes:
        shared: Attributes with one stream of the whole scene that only this kind has.
        keeps_quanta: Whether `fill` needs all units of a block at once.
        scene_kind: Of the header.
        sh_degree: Of the header, 0 for anchors.
        has_normals: Of the header, false for anchors.
    """

    shared: ClassVar[tuple[Attribute, ...]] = ()
    keeps_quanta: ClassVar[bool] = False
    scene_kind: ClassVar[SceneKind]
    sh_degree: int = 0
    has_normals: bool = False

    @property
    @abstractmethod
    def units(self) -> tuple[Unit, ...]:
        """In coding order; decisions come first."""

    @abstractmethod
    def outlier_shapes(self) -> dict[str, tuple[tuple[int, ...], np.dtype[np.generic]]]:
        """Shape of a row and type of each array of a scene, in the order of its stream."""

    @abstractmethod
    def empty(self, count: int, room: Room = MEMORY) -> Fields:
        """Fields of ``count`` primitives, to be filled block by block."""

    @abstractmethod
    def fill(self, own: Fields, decoded: Iterable[Values]) -> None:
        """Puts all units of some rows, in coding order, into ``own``, the fields of these rows.

        Adds what only `positions` needs. Every float operation is a single rounding.
        """

    def positions(
        self, lattice: Lattice, codes: NDArray[np.uint64], fields: Fields
    ) -> NDArray[np.float32]:
        """(N, 3) where primitives in the cells with Morton ``codes`` are.

        Takes what only they need out of ``fields``, which `fill` made.
        """
        del fields
        return lattice.positions(morton.decode(codes))

    @abstractmethod
    def scene(
        self,
        positions: NDArray[np.float32],
        fields: Fields,
        streams: Mapping[tuple[Attribute, int], bytes],
    ) -> Scene:
        """The scene of ``positions`` (N, 3) and ``fields``; ``streams`` hold those of `shared`."""
