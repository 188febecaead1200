"""Anchors of a Scaffold-GS scene: masks, features in chunks, scalings, offsets.

Masks are coded first, then features in chunks of which each sees those before it (HAC++), then
scalings, then those offsets that are there, as HEMGS conditions them on features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gscodec.anchors import SCALINGS, AnchorScene
from gscodec.kinds.blueprint import assembled, decode_integer_networks
from gscodec.kinds.kind import Kind
from gscodec.kinds.outliers import BYTE, FLOAT
from gscodec.payload import Attribute, SceneKind
from gscodec.room import MEMORY
from gscodec.slices import in_slices
from gscodec.units import Unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from gscodec.anchors import RenderingNetworks
    from gscodec.kinds.blueprint import Blueprint
    from gscodec.kinds.kind import Fields, Values
    from gscodec.room import Room

MASK = 0  # number of that unit; scalings and offsets are the last two
_CHUNK = 10  # features at most


def chunks(features: int) -> list[slice]:
    """Columns of each chunk of ``features``: of nearly equal widths, wider ones first."""
    count = -(-features // _CHUNK)
    ends = np.cumsum([(features + count - 1 - n) // count for n in range(count)]).tolist()
    return [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]


def anchor_units(features: int, offsets: int) -> tuple[Unit, ...]:
    """The units in coding order: every column has a step of its own, an offset has one."""
    widths = [part.stop - part.start for part in chunks(features)]
    return (
        Unit(Attribute.MASK, offsets),
        *(_unit(Attribute.FEATURE, tuple(range(width))) for width in widths),
        _unit(Attribute.SCALING, tuple(range(SCALINGS))),
        _unit(Attribute.OFFSET, tuple(n // 3 for n in range(3 * offsets)), MASK),
    )


def _unit(
    attribute: Attribute, step_of: tuple[int, ...], present_by: int | None = None
) -> Unit:
    return Unit(attribute, len(step_of), step_of, (0,) * len(step_of), present_by=present_by)


@dataclass(frozen=True)
class Anchors(Kind):
    """Of the widths of a blueprint; see `kinds.Kind`."""

    blueprint: Blueprint
    shared = (Attribute.CHECKPOINT, Attribute.RENDERING)
    scene_kind = SceneKind.ANCHORS

    @property
    def units(self) -> tuple[Unit, ...]:
        """In coding order."""
        return anchor_units(self.blueprint.features, self.blueprint.offsets)

    def outlier_shapes(self) -> dict[str, tuple[tuple[int, ...], np.dtype[np.generic]]]:
        """See `kinds.Kind`."""
        shapes: dict[str, tuple[tuple[int, ...], np.dtype[np.generic]]]
        shapes = {"anchors": ((3,), FLOAT)}
        for name, array in self.empty(0).items():
            if name != "masks" or self.blueprint.has_masks:
                shapes[name] = (array.shape[1:], BYTE if name == "masks" else FLOAT)
        return shapes

    def empty(self, count: int, room: Room = MEMORY) -> Fields:
        """Fields of ``count`` anchors; masks as floats."""
        offsets = self.blueprint.offsets
        shapes: dict[str, tuple[int, ...]] = {
            "features": (count, self.blueprint.features),
            "log_scalings": (count, SCALINGS),
            "offsets": (count, offsets, 3),
            "masks": (count, offsets),
        }
        return {name: room.empty(shape, np.float32) for name, shape in shapes.items()}

    def fill(self, own: Fields, decoded: Iterable[Values]) -> None:
        """Unit by unit, none of which is kept: anchors can be wide."""
        features, offsets = own["features"], own["offsets"]
        targets = (
            own["masks"],
            *(features[:, columns] for columns in chunks(features.shape[1])),
            own["log_scalings"],
            offsets.reshape(len(offsets), -1),
        )
        for unit, target in zip(decoded, targets, strict=True):
            for rows in in_slices(len(target)):
                target[rows] = unit.floats(rows)

    def scene(
        self,
        positions: NDArray[np.float32],
        fields: Fields,
        streams: Mapping[tuple[Attribute, int], bytes],
    ) -> AnchorScene:
        """The scene with the networks of its stream."""
        rendering = streams[Attribute.RENDERING, 0]
        return self.with_networks(
            positions, fields, decode_integer_networks(rendering, self.blueprint)
        )

    def with_networks(
        self, positions: NDArray[np.float32], fields: Fields, networks: RenderingNetworks
    ) -> AnchorScene:
        """As `scene`."""
        others = {name: array for name, array in fields.items() if name != "masks"}
        masks = fields["masks"] == 1 if self.blueprint.has_masks else None
        return assembled(self.blueprint, networks, {"anchors": positions, **others}, masks)
