"""Which bits of a file are spent on which primitive: for pictures, not for coding."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from gscodec.errors import SceneError
from gscodec.payload import Attribute

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from gscodec.payload import SceneKind


@dataclass(frozen=True)
class BitMap:
    """Bits by primitive and attribute.

    Attributes:
        kind: What the primitives are.
        positions: (N, 3) float32 scene units, in the order of the decoded scene.
        bits: By attribute (N,) float32, what each primitive takes.
        shared: By attribute the bits of streams that belong to no primitive: networks, grid.
        levels: Of latents, by depth of the level (N,) float32, which add up to those of their
            attribute: primitives of a cell share its bits evenly.

    Raises:
        SceneError: If shapes or dtypes disagree.
    """

    kind: SceneKind
    positions: NDArray[np.float32]
    bits: Mapping[Attribute, NDArray[np.float32]]
    shared: Mapping[Attribute, float]
    levels: Mapping[int, NDArray[np.float32]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        arrays = {attribute.name.lower(): array for attribute, array in self.bits.items()}
        arrays |= {f"level {depth}": array for depth, array in self.levels.items()}
        shapes = {"positions": (len(self), 3), **dict.fromkeys(arrays, (len(self),))}
        for name, array in {"positions": self.positions, **arrays}.items():
            if array.shape != shapes[name] or array.dtype != np.float32:
                raise SceneError(
                    f"bit map, {name}: found {array.dtype} {array.shape}, "
                    f"expected float32 {shapes[name]}"
                )

    def __len__(self) -> int:
        return len(self.positions)

    def parts(self) -> dict[str, NDArray[np.float32]]:
        """Bits of each primitive by name of the attribute; those of latents by level."""
        parts = dict[str, "NDArray[np.float32]"]()
        for attribute, bits in self.bits.items():
            parts |= self._named(attribute, bits)
        return parts

    def sums(self) -> dict[str, float]:
        """Bits of all streams together, by the same names and in the order of attributes."""
        sums = dict[str, float]()
        for attribute in sorted({*self.bits, *self.shared}):
            if attribute in self.shared:
                sums[attribute.name.lower()] = self.shared[attribute]
                continue
            named = self._named(attribute, self.bits[attribute])
            sums |= {name: float(bits.sum(dtype=np.float64)) for name, bits in named.items()}
        return sums

    def _named(
        self, attribute: Attribute, bits: NDArray[np.float32]
    ) -> dict[str, NDArray[np.float32]]:
        name = attribute.name.lower()
        if attribute is not Attribute.LATENT:
            return {name: bits}
        return {f"{name}_{depth}": level for depth, level in self.levels.items()}

    def total(self) -> NDArray[np.float64]:
        """Bits of each primitive, all attributes together: (N,) float64."""
        total = np.zeros(len(self))
        for bits in self.bits.values():
            total += bits
        return total


@dataclass(frozen=True)
class Level:
    """Latents on one level of an octree.

    Attributes:
        depth: Levels below the root.
        cells: (n, 3) occupied cells, on the lattice of this depth.
        values: (n, channels) int64, as networks see them.
    """

    depth: int
    cells: NDArray[np.int64]
    values: NDArray[np.int64]
