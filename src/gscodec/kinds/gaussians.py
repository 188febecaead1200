"""Gaussians: opacity, scale, rotation, dc, then higher SH by degree, luma before chroma.

Positions are those of lattice cells, or displaced from their centres: along the axes of each
Gaussian, as finely as it is small. Displacements come last, when all that tells is decoded.

Colours are rotated to Y, U, V (`gscodec.colours`); rotations are twist and swing about an axis
that the decoded scales choose (`geometry.rotation`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gscodec.colours import put_rgb, to_rgb
from gscodec.errors import FormatError
from gscodec.geometry import morton
from gscodec.geometry.rotation import from_twist_swing, is_disc, rotated
from gscodec.kinds.kind import Kind
from gscodec.kinds.outliers import FLOAT
from gscodec.payload import Attribute, SceneKind
from gscodec.room import MEMORY
from gscodec.scene import GaussianScene, sh_band, sh_rest_count
from gscodec.slices import in_slices
from gscodec.units import Unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from gscodec.geometry import Lattice
    from gscodec.kinds.kind import Fields, Values
    from gscodec.room import Room

# Beyond these no renderer can tell values apart: sigmoid(16) is 1 to float32 precision.
MAX_OPACITY_LOGIT, MAX_LOG_SCALE = 16.0, 30.0
# Numbers of the units.
OPACITY, SCALE, ROTATION, SH_DC, SH_REST = range(5)
# Sensitivities of Y, U, V are 3 : 2 : 6, so U takes a step 2 / 8 of an octave above that of Y,
# and V one 4 / 8 below.
_U, _V = 2, -4
_DISPLACEMENTS = "displacements"  # the field that positions are made with
_COLOURS = (Attribute.SH_1, Attribute.SH_2, Attribute.SH_3)


def gaussian_units(sh_degree: int, *, displaced: bool = False) -> tuple[Unit, ...]:
    """The units of a scene in coding order (format-spec.md, "Groups")."""
    return (
        Unit(Attribute.OPACITY, 1, (0,), (0,)),
        Unit(Attribute.SCALE, 3, (0, 1, 2), (0, 0, 0)),
        Unit(Attribute.ROTATION, 3, (0, 1, 1), (0, 0, 0)),
        Unit(Attribute.SH_DC, 3, (0, 0, 0), (0, _U, _V)),
        *(unit for degree in range(1, sh_degree + 1) for unit in _band(degree)),
        *([Unit(Attribute.DISPLACEMENT, 3, (0, 1, 2), (0, 0, 0))] if displaced else ()),
    )


def _band(degree: int) -> tuple[Unit, Unit]:
    n, attribute = 2 * degree + 1, _COLOURS[degree - 1]
    luma = Unit(attribute, n, (0,) * n, (0,) * n, fine=True)
    return luma, Unit(attribute, 2 * n, (0,) * (2 * n), (_U,) * n + (_V,) * n, fine=True)


def sh_rest_of(columns: Sequence[NDArray[np.float64]], sh_degree: int) -> NDArray[np.float32]:
    """(rows, K, 3) R, G, B coefficients of the units' ``columns``."""
    rest = np.empty((len(columns[0]), sh_rest_count(sh_degree), 3), dtype=np.float32)
    _put_sh_rest(columns, sh_degree, rest)
    return rest


def _put_sh_rest(
    columns: Sequence[NDArray[np.float64]], sh_degree: int, rest: NDArray[np.float32]
) -> None:
    """`sh_rest_of` into ``rest``."""
    for degree in range(1, sh_degree + 1):
        luma, chroma = columns[SH_REST - 2 + 2 * degree : SH_REST + 2 * degree]
        n = luma.shape[1]
        put_rgb(luma, chroma[:, :n], chroma[:, n:], rest[:, sh_band(degree)])


@dataclass(frozen=True)
class Gaussians(Kind):
    """Of one SH degree; see `kinds.Kind`.

    Attributes:
        sh_degree: See there.
        has_normals: See there.
        displaced: Whether Gaussians are elsewhere than in the centres of their cells.
    """

    sh_degree: int
    has_normals: bool = False
    displaced: bool = False
    keeps_quanta = True
    scene_kind = SceneKind.GAUSSIANS

    @property
    def units(self) -> tuple[Unit, ...]:
        """In coding order."""
        return gaussian_units(self.sh_degree, displaced=self.displaced)

    def outlier_shapes(self) -> dict[str, tuple[tuple[int, ...], np.dtype[np.generic]]]:
        """See `kinds.Kind`."""
        fields = {name: (array.shape[1:], FLOAT) for name, array in self.empty(0).items()}
        return {"means": ((3,), FLOAT), **fields}

    def empty(self, count: int, room: Room = MEMORY) -> Fields:
        """Fields of ``count`` Gaussians."""
        shapes: dict[str, tuple[int, ...]] = {
            "opacity_logits": (count,),
            "log_scales": (count, 3),
            "quats": (count, 4),
            "sh_dc": (count, 3),
            "sh_rest": (count, sh_rest_count(self.sh_degree), 3),
        }
        return {name: room.empty(shape, np.float32) for name, shape in shapes.items()}

    def fill(self, own: Fields, decoded: Iterable[Values]) -> None:
        """Some rows at a time: all columns of a block as doubles would be large."""
        units = list(decoded)
        if self.displaced:
            own[_DISPLACEMENTS] = np.empty((len(units[0].quanta), 3), np.float32)
        for rows in in_slices(len(units[0].quanta)):
            real = [unit.floats(rows) for unit in units]
            own["opacity_logits"][rows] = real[OPACITY][:, 0]
            own["log_scales"][rows] = real[SCALE]
            disc = is_disc(units[SCALE].quanta[rows])
            own["quats"][rows] = from_twist_swing(real[ROTATION], disc)
            own["sh_dc"][rows] = to_rgb(real[SH_DC])
            _put_sh_rest(real, self.sh_degree, own["sh_rest"][rows])
            if self.displaced:
                own[_DISPLACEMENTS][rows] = real[-1]

    def positions(
        self, lattice: Lattice, codes: NDArray[np.uint64], fields: Fields
    ) -> NDArray[np.float32]:
        """See `kinds.Kind`; displacements are in cells.

        Raises:
            FormatError: A position is not finite.
        """
        if not self.displaced:
            return super().positions(lattice, codes, fields)
        own = fields.pop(_DISPLACEMENTS)
        positions = np.empty((len(codes), 3), np.float32)
        for rows in in_slices(len(codes)):
            moves = rotated(fields["quats"][rows], own[rows])
            with np.errstate(over="ignore"):
                positions[rows] = lattice.positions(morton.decode(codes[rows]) + moves)
        if not np.isfinite(positions).all():
            raise FormatError("displacement: found a position that no float32 holds")
        return positions

    def scene(
        self,
        positions: NDArray[np.float32],
        fields: Fields,
        streams: Mapping[tuple[Attribute, int], bytes],  # noqa: ARG002
    ) -> GaussianScene:
        """The scene, without what no stream holds."""
        return GaussianScene(
            means=positions,
            **fields,
            extras=(),
            has_normals=self.has_normals,
            antialiased=False,
            origin=None,
        )
