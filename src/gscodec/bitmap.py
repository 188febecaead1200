"""Which bits of a file are spent on which primitive: for pictures, not for coding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gscodec.errors import SceneError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from gscodec.payload import Attribute, SceneKind


@dataclass(frozen=True)
class BitMap:
    """Bits by primitive and attribute.

    Attributes:
        kind: What the primitives are.
        positions: (N, 3) float32 scene units, in the order of the decoded scene.
        bits: By attribute (N,) float32, what each primitive takes.
        shared: By attribute the bits of streams that belong to no primitive: networks, grid.

    Raises:
        SceneError: If shapes or dtypes disagree.
    """

    kind: SceneKind
    positions: NDArray[np.float32]
    bits: Mapping[Attribute, NDArray[np.float32]]
    shared: Mapping[Attribute, float]

    def __post_init__(self) -> None:
        arrays = {attribute.name.lower(): array for attribute, array in self.bits.items()}
        shapes = {"positions": (len(self), 3), **dict.fromkeys(arrays, (len(self),))}
        for name, array in {"positions": self.positions, **arrays}.items():
            if array.shape != shapes[name] or array.dtype != np.float32:
                raise SceneError(
                    f"bit map, {name}: found {array.dtype} {array.shape}, "
                    f"expected float32 {shapes[name]}"
                )

    def __len__(self) -> int:
        return len(self.positions)

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
