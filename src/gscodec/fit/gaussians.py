"""Gaussians as an encoder sees them: columns, what these show, steps, what is not needed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gscodec.coding import Family
from gscodec.colours import to_rgb, to_yuv
from gscodec.fit.pixels import Canonical, PixelSensitivity, coherence, measure
from gscodec.fit.pruning import Worth
from gscodec.fit.recent import Recent, key_of
from gscodec.fit.sensitivity import (
    ALONG,
    BIT_PRICE,
    MAX_STEP,
    Sensitivity,
    Usual,
    closed_form,
    combine,
    log2_ideal,
)
from gscodec.geometry import MAX_BITS
from gscodec.geometry.rotation import (
    along_axes,
    from_twist_swing,
    is_disc,
    rotated,
    sort_axes,
    to_twist_swing,
)
from gscodec.kinds.gaussians import (
    MAX_LOG_SCALE,
    MAX_OPACITY_LOGIT,
    ROTATION,
    SCALE,
    SH_DC,
    SH_REST,
    gaussian_units,
    sh_rest_of,
)
from gscodec.notes import Note
from gscodec.scene import sh_band
from gscodec.slices import in_slices

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from gscodec.camera import Camera
    from gscodec.fit.mixing import Mixing
    from gscodec.fit.options import Options
    from gscodec.fit.subject import Columns
    from gscodec.fit.targets import Target
    from gscodec.geometry import Lattice
    from gscodec.render.splat import Conventions
    from gscodec.room import Room
    from gscodec.scene import GaussianScene

# Squared error of a picture (mean over pixels and channels) that one bit per Gaussian of the
# source is worth at lambda = 1.
_PRICE = 2e-2
_AT_ONCE = 1 << 18  # codes
_COHERENCE_VIEWS = 8
_PROBES = 1  # a view: networks learn what is common to many Gaussians, noise aside
_ALONE = 0.55  # share of the Gaussians that have a cell of their own
# Bits that leaving a Gaussian out is worth, fewer than it takes: the errors of many
# that go add up to several times their sum.
_BITS_SAVED = 3.0
# As if so much of a view more had shown all that a Gaussian could show.
_UNSEEN = 5e-3
# A descent makes up for so many times more than colours do, where many of its pictures show it;
# rounds prune time and again. It does so in the views that it aims at: few of them say little of
# others, see `recolouring`.
_MENDED, _MENDED_IN_ROUNDS = 19.0, 5.5
_UNSEEN_BY_DESCENT = 1.5  # over the number of views, once more than above
_SEEN: Recent[Seen] = Recent()


def price(lam: float, count: int) -> float:
    """Mean squared error of a picture that a bit is worth."""
    return _PRICE * lam / count


class Seen(NamedTuple):
    """What values do to pixels, and `fit.pixels.coherence`."""

    pixels: PixelSensitivity
    coherence: float


@dataclass(frozen=True)
class GaussianSource:
    """A scene in the columns that are coded.

    Attributes:
        columns: One (N, columns) float64 array per group, in coding order.
        quats: (N, 4) float64 unit quaternions that go with the sorted scales.
        weights: How much each value matters.
        usual: What they were told by.
        cell: Edge of a cell, in which the last group displaces positions; 0 if there is none.
    """

    columns: tuple[NDArray[np.float64], ...]
    quats: NDArray[np.float64]
    weights: Sensitivity
    usual: Usual
    cell: float = 0.0

    @classmethod
    def of(cls, scene: GaussianScene, usual: Usual | None = None) -> GaussianSource:
        """Sorts axes, rotates colours, clamps what no renderer can tell apart.

        Weights are the closed form, told by what is ``usual``.
        """
        columns, quats, disc = cls.parts(scene)
        weights, usual = closed_form(
            scene.means.astype(np.float64),
            columns[0][:, 0],
            columns[1],
            disc,
            antialiased=scene.antialiased,
            usual=usual,
        )
        return cls(columns, quats, weights, usual)

    @staticmethod
    def parts(
        scene: GaussianScene,
    ) -> tuple[tuple[NDArray[np.float64], ...], NDArray[np.float64], NDArray[np.bool_]]:
        """Columns and quaternions, and about which axes the twists are."""
        opacity = np.clip(scene.opacity_logits, -MAX_OPACITY_LOGIT, MAX_OPACITY_LOGIT)
        scales = np.clip(scene.log_scales, -MAX_LOG_SCALE, MAX_LOG_SCALE)
        sorted_scales, quats = sort_axes(
            scales.astype(np.float64), scene.quats.astype(np.float64)
        )
        disc = is_disc(sorted_scales)
        colours = to_yuv(scene.sh_dc.astype(np.float64))
        rest = to_yuv(scene.sh_rest.astype(np.float64))
        columns = [
            opacity.astype(np.float64)[:, None],
            sorted_scales,
            to_twist_swing(quats, disc),
            colours,
        ]
        for degree in range(1, scene.sh_degree + 1):
            band = rest[:, sh_band(degree)]
            columns += [band[..., 0], np.concatenate([band[..., 1], band[..., 2]], axis=1)]
        return tuple(columns), quats, disc

    def seen(
        self,
        scene: GaussianScene,
        cameras: Sequence[Camera],
        how: Conventions,
        seed: int,
        progress: Callable[[float], None],
        *,
        keep: bool = False,
    ) -> Seen:
        """What each value does to pixels; ``scene`` is what this source is of, row by row.

        With ``keep`` it is measured once for encodes of ``scene`` that follow each other.
        """
        if keep:
            shots = [(c.width, c.height, c.fx, c.fy, c.cx, c.cy) for c in cameras]
            poses = [camera.world_to_camera.tolist() for camera in cameras]
            key = key_of(scene, shots, poses, how, seed)
            return _SEEN.get(key, lambda: self.seen(scene, cameras, how, seed, progress))
        sh = np.concatenate([scene.sh_dc[:, None], scene.sh_rest], axis=1)
        canonical = Canonical(
            scene.means.astype(np.float64),
            self.columns[0][:, 0],
            self.columns[1],
            self.columns[2],
            is_disc(self.columns[1]),
            sh,
        )
        first: list[NDArray[np.float32]] = []

        def shown(picture: NDArray[np.float32]) -> None:
            if len(first) < _COHERENCE_VIEWS:
                first.append(picture)

        pixels = measure(
            canonical, cameras, how, probes=_PROBES, seed=seed, progress=progress, shown=shown
        )
        return Seen(pixels, coherence(canonical, cameras, how, first, pixels))

    def weighed(self, seen: Seen) -> GaussianSource:
        """With the weights that follow from what was ``seen``."""
        weights = combine(self.weights, seen.pixels, seen.coherence)
        return replace(self, weights=weights)

    def displaced(self, means: NDArray[np.float32], lattice: Lattice) -> GaussianSource:
        """With one more group: where ``means`` (N, 3) are in their cells."""
        offsets = (means.astype(np.float64) - np.array(lattice.origin)) / lattice.step
        offsets -= lattice.quantize(means)
        own = along_axes(from_twist_swing(self.columns[ROTATION], self.disc), offsets)
        return replace(self, columns=(*self.columns, own), cell=lattice.step)

    def recoloured(self, sh_dc: NDArray[np.float32]) -> GaussianSource:
        """With other constant colours (N, 3), R, G, B."""
        columns = list(self.columns)
        columns[SH_DC] = to_yuv(sh_dc.astype(np.float64))
        return replace(self, columns=tuple(columns))

    @property
    def disc(self) -> NDArray[np.bool_]:
        """(N,) about which axes the twists are."""
        return is_disc(self.columns[SCALE])

    def rows(self, rows: slice) -> GaussianSource:
        """Of some ``rows``."""
        return self.take(rows)

    part = rows

    def ideal(self, price: float, lam: float) -> list[NDArray[np.float64]]:  # noqa: ARG002
        """Log2 of the ideal steps (N, steps) of each unit."""
        w = self.weights
        rest = log2_ideal(3 * w.rest, price, MAX_STEP["colour"])[:, None]
        first = [
            log2_ideal(w.opacity, price, MAX_STEP["opacity"])[:, None],
            log2_ideal(w.scale, price, MAX_STEP["scale"]),
            log2_ideal(w.rotation, price, MAX_STEP["rotation"]),
            log2_ideal(3 * w.dc, price, MAX_STEP["colour"])[:, None],
        ]
        found = first + [rest] * (2 * self.sh_degree)
        if self.cell:
            own = ALONG * w.position * self.cell**2
            found.append(log2_ideal(own, price, MAX_STEP["position"]))
        return found

    def targets(self, price: float, lam: float) -> list[Target]:
        """What the model is to code; rotations and places in a cell have no peak."""
        from gscodec.fit.targets import Target

        families = [Family.LAPLACE] * len(self.columns)
        families[ROTATION] = Family.GAUSSIAN
        if self.cell:
            families[-1] = Family.GAUSSIAN
        units = gaussian_units(self.sh_degree, displaced=self.cell > 0)
        ideal = self.ideal(price, lam)
        return list(map(Target, units, families, self.columns, ideal))

    @property
    def sh_degree(self) -> int:
        """0 to 3."""
        return (len(self.columns) - SH_REST) // 2  # displacements are one group alone

    def after(
        self,
        number: int,
        columns: Columns,
        quanta: NDArray[np.int64],
        real: NDArray[np.float64],
        *,
        moved: bool,
    ) -> Columns:
        """The decoder knows only the decoded scales: the axis of the twist follows them.

        Displacements follow the axes that it knows.
        """
        if number not in {SCALE, ROTATION}:
            return columns
        columns = list(columns)
        disc = is_disc(columns[SCALE]) if number == ROTATION else self.disc
        before = from_twist_swing(columns[ROTATION], disc)
        if number == SCALE:
            columns[SCALE], disc = real, is_disc(quanta)
            wanted = before.astype(np.float64) if moved else self.quats
            real = columns[ROTATION] = to_twist_swing(wanted, disc)
        if self.cell:
            now = from_twist_swing(real, disc)
            columns[-1] = along_axes(now, rotated(before, columns[-1]))
        return columns

    @staticmethod
    def tidy(columns: Columns) -> Columns:
        """Everything is coded."""
        return columns

    def agreement(self, units: range) -> NDArray[np.float64]:
        """Coefficients err as if they were independent."""
        return np.eye(sum(column.shape[1] for column in self.columns[units.start : units.stop]))

    def mixed(self, mixing: Mixing, steps: NDArray[np.float64] | None = None) -> GaussianSource:  # noqa: ARG002
        """With residuals; all higher coefficients have the same steps anyway."""
        return replace(self, columns=tuple(mixing.residuals(list(self.columns))))

    def take(self, order: NDArray[np.int64] | slice) -> GaussianSource:
        """The rows ``order``."""
        columns = tuple(c[order] for c in self.columns)
        weights, quats = self.weights.take(order), self.quats[order]
        return replace(self, columns=columns, quats=quats, weights=weights)


def changes(scene: GaussianScene, room: Room) -> list[Note]:
    """One line for each kind of change that `GaussianSource.of` makes.

    ``room`` is where the arrays are.
    """
    notes = [
        Note(
            "sorted the axes of every Gaussian and normalised quaternions (covariances unchanged)",
            "rotations-rewritten",
        ),
    ]
    for name, array, limit in (
        ("opacity logits", scene.opacity_logits, MAX_OPACITY_LOGIT),
        ("log-scales", scene.log_scales, MAX_LOG_SCALE),
    ):
        slices = room.slices(len(scene))
        count = sum(int((np.abs(array[rows]) > limit).sum()) for rows in slices)
        if count:
            told = f"clamped {count} {name} to +-{limit:g}"
            notes.append(Note(told, "clamped", values=count))
    slices = room.slices(len(scene))
    zero = sum(int((~scene.quats[rows].any(axis=1)).sum()) for rows in slices)
    if zero:
        told = f"replaced {zero} zero quaternions by the identity"
        notes.append(Note(told, "rotations-replaced", gaussians=zero))
    return notes


def to_scene(
    columns: Sequence[NDArray[np.float64]], scene: GaussianScene, disc: NDArray[np.bool_]
) -> GaussianScene:
    """``scene`` with the values of ``columns``; inverse of `GaussianSource.of`, positions aside.

    ``disc`` says about which axis the twists are: scales may have changed since.
    """
    return replace(
        scene,
        opacity_logits=columns[0][:, 0].astype(np.float32),
        log_scales=columns[1].astype(np.float32),
        quats=from_twist_swing(columns[2], disc),
        sh_dc=to_rgb(columns[3]),
        sh_rest=sh_rest_of(columns, scene.sh_degree),
    )


class Prune(NamedTuple):
    """What decides which Gaussians leave: where colours make up for them, and a long descent.

    Attributes:
        bits: That leaving one out is worth, of both.
        unseen: As if so much of a view more had shown all that it could show, of both.
        pictures: Of the descent: the more of them show a Gaussian, the nearer it is to the latter.
    """

    bits: tuple[float, float]
    unseen: tuple[float, float]
    pictures: int = 0

    @classmethod
    def by_colours(cls, views: int) -> Prune:
        """Where colours make up for it, in as many ``views``."""
        return cls((_BITS_SAVED,) * 2, (_UNSEEN / views,) * 2)

    @classmethod
    def by_rounds(cls, views: int) -> Prune:
        """Where every round may leave more out, and mends what it can."""
        return cls((_BITS_SAVED * _MENDED_IN_ROUNDS,) * 2, (_UNSEEN / views,) * 2)

    @classmethod
    def by_descent(cls, views: int, pictures: int) -> Prune:
        """Where one descent through ``views`` comes after it, of so many ``pictures``."""
        return cls(
            (_BITS_SAVED, _BITS_SAVED * _MENDED),
            (_UNSEEN / views, _UNSEEN_BY_DESCENT / views**2),
            pictures,
        )

    def worth(self, scene: GaussianScene, price: float) -> Worth:
        """What each Gaussian must show to be kept.

        Views that nobody has looked through may show more of it: what it could show at most
        counts.
        """
        could = GaussianSource.of(scene.without_rest()).weights.dc
        now, later = (
            bits * price - unseen * could
            for bits, unseen in zip(self.bits, self.unseen, strict=True)
        )
        return Worth(now, later, self.pictures)


def cell_bits(codes: NDArray[np.uint64], bits: int) -> int:
    """Octree depth, at most ``bits``, from which on displacements tell the rest.

    Where most cells hold one Gaussian a further level of the octree tells nothing but where in
    its cell it is, three bits for each. A displacement tells that as finely as is needed.

    Args:
        codes: (N,) Morton codes on the lattice of ``bits``, ascending.
        bits: The depth that positions would need without displacements.
    """
    for depth in range(1, bits):
        if alone(codes, 3 * (bits - depth)) > _ALONE * len(codes):
            return depth
    return bits


def alone(codes: NDArray[np.uint64], shift: int = 0) -> int:
    """How many of rising ``codes`` differ from all others above ``shift`` bits."""
    found = 0
    for rows in in_slices(len(codes), _AT_ONCE):
        with_ends = codes[max(rows.start - 1, 0) : rows.stop + 1] >> np.uint64(shift)
        edge = with_ends[1:] != with_ends[:-1]
        first, last = rows.start == 0, rows.stop == len(codes)
        edge = np.concatenate([[True] * first, edge, [True] * last]).astype(bool)
        found += int((edge[1:] & edge[:-1]).sum())
    return found


def position_weight(scene: GaussianScene) -> float:
    """Of the positions of ``scene``, as `position_bits` takes it: told in closed form."""
    return float(GaussianSource.of(scene.without_rest()).weights.position.mean())


def position_bits(weight: float, extent: float, price: float) -> int:
    """Octree depth at which a coordinate's error weighs as much as a colour's; at least 1.

    ``weight`` is the mean sensitivity of positions, ``extent`` the longest edge of their box.
    """
    wanted = math.sqrt(price / (weight * BIT_PRICE))
    bits = math.log2(max(extent, 1e-300) / wanted) if extent else 1
    return max(1, round(bits))


def voxel_bits(scene: GaussianScene, asked: Options) -> int:
    """Depth of the octree whose voxels hold Gaussians that are as good as in one place.

    As deep as positions are kept, about: told before anything is looked at.
    """
    if asked.position_bits is not None:
        return asked.position_bits
    bits = position_bits(
        position_weight(scene), extent_of(scene.means), price(asked.lam, len(scene))
    )
    return min(bits, MAX_BITS)


def extent_of(means: NDArray[np.float32]) -> float:
    """Longest edge of the bounding box of ``means`` (N, 3), scene units."""
    high, low = (end.astype(np.float64) for end in (means.max(axis=0), means.min(axis=0)))
    return float((high - low).max())
