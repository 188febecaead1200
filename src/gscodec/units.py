"""Values that kinds of scene, methods, the coder and training share.

A unit is some columns of one attribute that are coded together. All its numbers are integers,
in quanta of its own; a `Law` says how each of them is coded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gscodec.coding import Family
    from gscodec.payload import Attribute

    Quanta: TypeAlias = NDArray[np.signedinteger]  # int32 or int64

# Centres below this have 32 bits. Residuals that do (`coding.NARROW_RESIDUAL`) are below 2**15,
# steps below 2**14: so values are below 2**30, and twice a value has 32 bits, too.
NARROW_CENTRE = 1 << 28


@dataclass(frozen=True)
class Unit:
    """A *group* of format-spec.md, or the decisions of anchors: what every file agrees on.

    Attributes:
        attribute: Whose stream holds it.
        columns: Values per primitive.
        step_of: For each column, which of the unit's step outputs it uses; empty for
            yes-or-no decisions, which have no steps.
        step_offset: For each column, added to that step index.
        fine: Whether later units also see its values eight times magnified.
        present_by: Number of the unit of decisions that say which values are coded, evenly
            over the columns; None where all are.
    """

    attribute: Attribute
    columns: int
    step_of: tuple[int, ...] = ()
    step_offset: tuple[int, ...] = ()
    fine: bool = False
    present_by: int | None = None

    @property
    def decides(self) -> bool:
        """Whether it holds decisions."""
        return not self.step_of

    @property
    def steps(self) -> int:
        """Step outputs of its network."""
        return max(self.step_of, default=-1) + 1

    @property
    def outputs(self) -> int:
        """Outputs of its network: steps, then centres, then spreads; or logits."""
        return self.columns if self.decides else self.steps + 2 * self.columns

    @property
    def features(self) -> int:
        """Columns that it adds to the context of later units."""
        return self.columns * (2 if self.fine else 1)


class Law(NamedTuple):
    """How the values of a unit are coded: each is centre + k * step, k by its table.

    Attributes:
        centre: (rows, columns) quanta; int32 if all of the unit are below `NARROW_CENTRE` before
            neighbours move them, and below twice as much then, else int64.
        step: (rows, columns) int16 quanta.
        table: (rows, columns) uint8, of ``family``.
        family: Of tables; None for those of decisions.
    """

    centre: Quanta
    step: NDArray[np.int16]
    table: NDArray[np.uint8]
    family: Family | None


@dataclass(frozen=True)
class Expected:
    """A `Law` in the unit of the values, as a descent sees it; each (N, columns) float32.

    Attributes:
        centre: The expected value.
        step: Of quantisation.
        sigma: Expected deviation from the centre.
        made_up_for: Columns whose error later units take back, so that none shows.
    """

    centre: NDArray[np.float32]
    step: NDArray[np.float32]
    sigma: NDArray[np.float32]
    made_up_for: tuple[int, ...] = ()


class Place(NamedTuple):
    """Where the primitives of a block are.

    Attributes:
        codes: (rows,) uint64 Morton codes of their cells.
        bits: Depth of the octree.
    """

    codes: NDArray[np.uint64]
    bits: int
