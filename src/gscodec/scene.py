"""Scenes as values: frozen arrays with their shapes, dtypes and spaces said at the field.

A scene holds raw trained parameters, exactly as a 3DGS ``.ply`` stores them: opacity before
the sigmoid, scales before the exponential, quaternions before normalisation.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from gscodec.errors import SceneError
from gscodec.room import MEMORY
from gscodec.words import described

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from gscodec.room import Room

SH_DEGREES = (0, 1, 2, 3)
_AT_ONCE = 1 << 17  # rows


def require_arrays(owner: str, arrays: Mapping[str, object]) -> None:
    """Refuses what is no numpy array, tensors and lists among them.

    Raises:
        SceneError: With the field of ``owner``, what was found, and what to do.
    """
    for name, value in arrays.items():
        if isinstance(value, np.ndarray):
            continue
        advice = "numpy.asarray(..., numpy.float32) makes one"
        if hasattr(value, "detach"):
            advice = "gscodec.from_gsplat takes tensors"
        raise SceneError(
            f"{owner}.{name}: found {described(value)}, expected a numpy array; {advice}"
        )


def sh_rest_count(degree: int) -> int:
    """Number of SH coefficients per colour channel above the constant one: 0, 3, 8, 15."""
    return (degree + 1) ** 2 - 1


def sh_band(degree: int) -> slice:
    """Which of these coefficients are of ``degree``, 1 to 3."""
    return slice(sh_rest_count(degree - 1), sh_rest_count(degree))


def is_value(attribute: str, array: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which numbers of an array of a scene, given with its name, mean something.

    Finite ones do, and three more: an opacity of infinity is opaque, one of minus infinity
    transparent, and a log-scale of minus infinity flat.
    """
    values: NDArray[np.bool_] = np.isfinite(array)
    if attribute == "opacity_logits":
        values |= np.isinf(array)
    elif attribute == "log_scales":
        values |= np.isneginf(array)
    return values


@dataclass(frozen=True)
class ExtraProperty:
    """A vertex property that is not part of 3DGS, kept without loss.

    Attributes:
        name: The property's name in the source file.
        values: (N,) in the dtype of the source, one of the eight PLY scalar types.
    """

    name: str
    values: NDArray[np.generic]


@dataclass(frozen=True, repr=False)
class GaussianScene:
    """A trained 3D Gaussian Splatting scene.

    Attributes:
        means: (N, 3) float32, positions in scene units.
        opacity_logits: (N,) float32, sigmoid() gives opacity.
        log_scales: (N, 3) float32, exp() gives standard deviations in scene units.
        quats: (N, 4) float32, rotation as w, x, y, z; need not be unit length.
        sh_dc: (N, 3) float32, constant SH coefficient of R, G, B.
        sh_rest: (N, K, 3) float32, higher SH coefficients, K = 0, 3, 8 or 15.
        extras: further vertex properties, kept without loss.
        has_normals: whether the file has the customary columns nx, ny, nz, all zero.
        antialiased: whether it was trained with the screen-space filter that dims what it widens
            (mip splatting) and is to be drawn with it.
        origin: where (0, 0, 0) of ``means`` lies in the coordinates of the source, scene units;
            None where they are those of the source. A scene with an origin came as doubles and
            is written as doubles.

    Raises:
        SceneError: If shapes or dtypes disagree.
    """

    means: NDArray[np.float32]
    opacity_logits: NDArray[np.float32]
    log_scales: NDArray[np.float32]
    quats: NDArray[np.float32]
    sh_dc: NDArray[np.float32]
    sh_rest: NDArray[np.float32]
    extras: tuple[ExtraProperty, ...] = field(default=())
    has_normals: bool = False
    antialiased: bool = False
    origin: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        require_arrays("scene", self.attributes())
        n = len(self.means) if self.means.ndim else 0
        rest = self.sh_rest.shape[1] if self.sh_rest.ndim == 3 else -1
        wanted = {
            "means": (n, 3),
            "opacity_logits": (n,),
            "log_scales": (n, 3),
            "quats": (n, 4),
            "sh_dc": (n, 3),
            "sh_rest": (n, rest, 3),
        }
        for name, shape in wanted.items():
            array = getattr(self, name)
            if array.shape != shape or array.dtype != np.float32:
                expected = str(shape).replace("-1", "K")
                raise SceneError(
                    f"scene.{name}: found {array.dtype} {array.shape}, expected float32 {expected}"
                )
        if rest not in {sh_rest_count(d) for d in SH_DEGREES}:
            raise SceneError(
                f"scene.sh_rest: found {rest} coefficients, expected 0, 3, 8 or 15"
            )
        for extra in self.extras:
            if extra.values.shape != (n,):
                raise SceneError(
                    f"extra property {extra.name}: found shape {extra.values.shape}, expected ({n},)"
                )

    def __len__(self) -> int:
        return len(self.means)

    def __repr__(self) -> str:
        told = [f"{len(self):,} Gaussians", f"SH degree {self.sh_degree}"]
        told += [extra.name for extra in self.extras]
        told += ["antialiased"] if self.antialiased else []
        told += [] if self.origin is None else [f"origin {self.origin}"]
        return f"<GaussianScene: {', '.join(told)}>"

    @property
    def sh_degree(self) -> int:
        """SH degree of the colours, 0 to 3."""
        return int((self.sh_rest.shape[1] + 1) ** 0.5) - 1

    def attributes(self) -> dict[str, NDArray[np.float32]]:
        """The six float32 arrays by field name, in the order of the fields."""
        names = ("means", "opacity_logits", "log_scales", "quats", "sh_dc", "sh_rest")
        return {name: getattr(self, name) for name in names}

    def take(
        self, index: NDArray[np.int64] | NDArray[np.bool_] | slice, room: Room = MEMORY
    ) -> GaussianScene:
        """The Gaussians at ``index`` (int64 order, bool mask or slice), as a new scene.

        Its arrays are where there is ``room``, of a slice they are views.
        """
        return GaussianScene(
            **{name: room.take(array, index) for name, array in self.attributes().items()},
            extras=tuple(ExtraProperty(e.name, e.values[index]) for e in self.extras),
            has_normals=self.has_normals,
            antialiased=self.antialiased,
            origin=self.origin,
        )

    def relative_to(self, origin: tuple[float, float, float] | None) -> GaussianScene:
        """The same scene with another origin; means are rounded to float32 where that differs.

        Cameras see it where they would see a scene of that origin.
        """
        if origin == self.origin:
            return self
        ours, theirs = (np.array(o or (0.0, 0.0, 0.0)) for o in (self.origin, origin))
        means = (self.means.astype(np.float64) + (ours - theirs)).astype(np.float32)
        return replace(self, means=means, origin=origin)

    @property
    def most_rounding(self) -> float:
        """At most how far means are from positions that were doubles, scene units."""
        if self.origin is None:
            return 0.0
        largest = np.abs(self.means).max(initial=0, where=np.isfinite(self.means))
        return float(np.sqrt(3) * np.spacing(largest) / 2)

    def is_damaged(self, room: Room = MEMORY) -> NDArray[np.bool_]:
        """(N,) which Gaussians hold something that is no value, see `is_value`.

        ``room`` is where the arrays are.
        """
        found = np.zeros(len(self), dtype=np.bool_)
        for name, array in self.attributes().items():
            for rows in room.slices(len(self), _AT_ONCE):
                values = is_value(name, array[rows])
                if not values.all():
                    found[rows] |= ~values.reshape(len(values), -1).all(axis=1)
        return found

    def rows(self, rows: slice) -> GaussianScene:
        """Views of some ``rows``, as a scene."""
        return self.take(rows)

    def without_rest(self) -> GaussianScene:
        """A scene of degree 0 and no extra properties, of the same arrays."""
        return replace(self, sh_rest=self.sh_rest[:, :0], extras=())

    def digest(self, room: Room = MEMORY) -> bytes:
        """SHA-256 (32 bytes) of the six arrays as little-endian float32, in field order.

        Nothing else is part of it. ``room`` is where the arrays are.
        """
        sha = hashlib.sha256()
        for array in self.attributes().values():
            for rows in room.slices(len(array), _AT_ONCE):
                sha.update(np.ascontiguousarray(array[rows], dtype="<f4").data)
        return sha.digest()
