"""What values do to pixels, told without pictures: `fit.pixels` for effort instant.

A small shipped network sees of each Gaussian its opacity, size on screen, colour, distances to
others, and what glances tell (`fit.glances`); it gives by how much what would be measured differs
from the closed form. It learned that from measured scenes; see `tests/train_estimate.py`, which
made sensitivity.bin.

How much errors of higher SH coefficients agree is told by the coefficients: in smooth
appearance those of close Gaussians are alike, in noise they are not.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

from gscodec.colours import SH_CONSTANT
from gscodec.errors import GscodecError
from gscodec.fit.gaussians import GaussianSource, Seen
from gscodec.fit.glances import from_around, from_within, shown
from gscodec.fit.pixels import PixelSensitivity, coherent
from gscodec.fit.sensitivity import COHERENCE_DC, LOW_PASS
from gscodec.room import MEMORY
from gscodec.slices import in_slices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gscodec.fit.glances import Glance
    from gscodec.fit.sensitivity import Usual
    from gscodec.room import Room
    from gscodec.scene import GaussianScene

    Floats = NDArray[np.float32]

SHA256 = "b0b903ec9215b4bbc4568d315fcd5b59eb1e5d7941fe0db24345c7e0d4837944"
HIDDEN = 16
# Ratios of colour, colour with what agrees, opacity, three scales, twist, swing, position.
OUTPUTS = 9
INPUTS = 19
_WIDEST = 4.0  # deviations of an input from what is usual
_APART = (1, 2, 3, 4)  # places in this order that may be close
# Of larger scenes so many Gaussians tell what is usual; fewer tell how fine positions are.
_LOOKED_AT, _WEIGHED, _RUN = 1 << 17, 1 << 16, 1024
_ALIKE = 1, 2, 4  # of which SH coefficients are compared
# From how alike they are to what would be measured, and what is left of noise: on four scenes.
_ALIKE_NOISE, _ALIKE_GAIN = 0.05, 1.4
# Where they agree, other errors do, too: from rendered PSNR on four scenes, of which two are such.
_MORE_WHERE_ALIKE = 0.33


@dataclass(frozen=True)
class Estimator:
    """A perceptron with a linear path beside it.

    Attributes:
        middle: (INPUTS,) what is usual.
        spread: (INPUTS,) by how much it varies.
        linear: (INPUTS, OUTPUTS)
        bias: (OUTPUTS,)
        first: (INPUTS, HIDDEN)
        first_bias: (HIDDEN,)
        second: (HIDDEN, OUTPUTS)
    """

    middle: Floats
    spread: Floats
    linear: Floats
    bias: Floats
    first: Floats
    first_bias: Floats
    second: Floats

    def __call__(self, inputs: Floats) -> Floats:
        """Natural logarithms (N, OUTPUTS) of measured over closed form."""
        out = np.empty((len(inputs), OUTPUTS), np.float32)
        for rows in in_slices(len(inputs)):
            x = np.clip((inputs[rows] - self.middle) / self.spread, -_WIDEST, _WIDEST)
            hidden = np.tanh(x @ self.first + self.first_bias)
            out[rows] = x @ self.linear + self.bias + hidden @ self.second
        return out


SHAPES = (
    (INPUTS,),
    (INPUTS,),
    (INPUTS, OUTPUTS),
    (OUTPUTS,),
    (INPUTS, HIDDEN),
    (HIDDEN,),
    (HIDDEN, OUTPUTS),
)


def estimator_of(data: bytes) -> Estimator:
    """From its arrays in order, float32 little-endian."""
    ends = np.cumsum([int(np.prod(shape)) for shape in SHAPES])[:-1]
    parts = np.split(np.frombuffer(data, "<f4").astype(np.float32), ends)
    return Estimator(*(p.reshape(s) for p, s in zip(parts, SHAPES, strict=True)))


@cache
def shipped() -> Estimator:
    """The one that comes with the package.

    Raises:
        GscodecError: The installed file is damaged.
    """
    data = files("gscodec.fit").joinpath("sensitivity.bin").read_bytes()
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise GscodecError("gscodec/fit/sensitivity.bin is damaged; install gscodec again")
    return estimator_of(data)


@dataclass(frozen=True)
class About:
    """What is known of a whole scene, from up to `_LOOKED_AT` Gaussians of it.

    Attributes:
        usual: Of them.
        around: Glances, see `fit.glances`.
        within: The same.
        agreeing: `fit.pixels.coherence`, about.
    """

    usual: Usual
    around: tuple[Glance, ...]
    within: tuple[Glance, ...]
    agreeing: float

    @classmethod
    def of(cls, scene: GaussianScene, order: NDArray[np.int64], room: Room = MEMORY) -> About:
        """``scene``, whose close Gaussians are close in ``order`` (N,).

        ``room`` is where the arrays are.
        """
        each = 1 + len(scene) // _LOOKED_AT
        some = scene.without_rest().take(np.arange(0, len(scene), each), room)
        source = GaussianSource.of(some)
        places, cover, _ = _places(some, source)
        agreeing = _ALIKE_GAIN * (_alike(scene, order, room) - _ALIKE_NOISE)
        return cls(
            source.usual,
            from_around(places, cover, each),
            from_within(places, cover, each),
            coherent(agreeing),
        )

    def source(self, scene: GaussianScene, rows: slice) -> GaussianSource:  # noqa: ARG002
        """See `fit.ordered.Weighs`."""
        source = GaussianSource.of(scene, self.usual)
        pixels = estimated(scene, source, self, shipped())
        return source.weighed(Seen(pixels, self.agreeing))

    def part(self, rows: slice) -> About:  # noqa: ARG002
        """See `fit.ordered.Weighs`."""
        return self

    def positions(
        self, scene: GaussianScene, order: NDArray[np.int64], room: Room = MEMORY
    ) -> float:
        """Mean sensitivity of positions, of up to `_WEIGHED` Gaussians; arguments as `of`."""
        total, count = 0.0, 0
        for run in _runs(len(scene), _WEIGHED):
            found = self.source(scene.without_rest().take(order[run]), run).weights.position
            room.leave()
            total, count = total + float(found.sum()), count + found.size
        return total / count


def _runs(count: int, most: int) -> list[slice]:
    """Of `_RUN` out of ``count``, at most ``most`` in all, evenly over them."""
    apart = _RUN if count <= most else count // (most // _RUN)
    starts = range(0, count, apart)[: most // _RUN]
    return [slice(start, min(start + _RUN, count)) for start in starts]


def estimated(
    scene: GaussianScene, source: GaussianSource, about: About, estimator: Estimator
) -> PixelSensitivity:
    """What `fit.pixels.measure` would give for ``scene``, about.

    Args:
        scene: Some Gaussians, those that are close one after the other.
        source: Of them.
        about: Of the scene that they are from.
        estimator: Which one.
    """
    ratio = np.exp(estimator(inputs_of(scene, source, about)).astype(np.float64)).T
    ratio *= 1 + _MORE_WHERE_ALIKE * about.agreeing
    prior = source.weights
    rotation = prior.rotation * ratio[6:8].T
    colour = prior.dc * ratio[0]
    overlap = 1 + np.maximum(ratio[1] / ratio[0] - 1, 0) / COHERENCE_DC
    return PixelSensitivity(
        position=(prior.position.T * ratio[8]).T,
        opacity=prior.opacity * ratio[2],
        scale=prior.scale * ratio[3:6].T,
        rotation=rotation[:, [0, 1, 1]],
        colour=colour,
        weight=colour * overlap,
    )


def inputs_of(scene: GaussianScene, source: GaussianSource, about: About) -> Floats:
    """What a network sees of ``scene``, (N, INPUTS); arguments as `estimated`."""
    logs, opacity = source.columns[1], _opacities(source)
    places, cover, area = _places(scene, source)
    around, within = shown(about.around, places, cover), shown(about.within, places, cover)
    pixel = about.usual.core.pixel_sizes(scene.means.astype(np.float64))[:, None]
    seen = np.exp(2 * logs) + LOW_PASS * pixel**2
    edges = np.log2(np.sqrt(seen) / pixel)
    shares = np.maximum(2 * logs / np.log(2) - np.log2(seen), -20)
    breadth = _log2(np.sqrt(area), 1e-9)
    columns: Sequence[NDArray[np.floating]] = [
        _log2(opacity, 1e-6),
        _log2(1 - opacity, 1e-3),
        _log2(source.weights.dc, 1e-30),
        *edges.T,
        *shares.T,
        *(_log2(found, 1e-6) for found in (around.part, around.square, around.best)),
        *(_log2(found, 1e-6) for found in (within.part, within.square, within.best)),
        _log2(np.linalg.norm(places, axis=1), 1e-3),
        *(_log2(found, 1e-9) - breadth for found in _distances(places)),
        _log2(np.square(0.5 + SH_CONSTANT * scene.sh_dc).mean(axis=1), 1e-4),
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def _opacities(source: GaussianSource) -> NDArray[np.float64]:
    result: NDArray[np.float64] = 1 / (1 + np.exp(-source.columns[0][:, 0]))
    return result


def _places(
    scene: GaussianScene, source: GaussianSource
) -> tuple[Floats, Floats, NDArray[np.float64]]:
    """Positions (N, 3), what is covered, and areas, in sizes of the core."""
    centre, size = source.usual.core
    places = ((scene.means.astype(np.float64) - centre) / size).astype(np.float32)
    a, b, c = np.exp(source.columns[1] - np.log(size)).T
    area = 2 * np.pi * (a * b + a * c + b * c) / 3
    return places, (_opacities(source) * area).astype(np.float32), area


def _log2(values: NDArray[np.floating], least: float) -> NDArray[np.floating]:
    result: NDArray[np.floating] = np.log2(np.maximum(values, least))
    return result


def _distances(places: Floats) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """To the nearest, and to a middle one, of the places before and behind: each (N,)."""
    found = np.full((2 * len(_APART), len(places)), 1e9, np.float32)
    for number, apart in enumerate(_APART):
        away = np.linalg.norm(places[apart:] - places[:-apart], axis=1)
        found[2 * number, : len(away)] = away
        found[2 * number + 1, len(places) - len(away) :] = away
    found.sort(axis=0)
    return found[0], found[len(_APART)]


def _alike(scene: GaussianScene, order: NDArray[np.int64], room: Room) -> float:
    """How alike higher SH coefficients of close Gaussians are, 1 if they are the same."""
    both = single = 0.0
    for run in _runs(len(scene), _LOOKED_AT):
        rest = scene.sh_rest[order[run]].reshape(len(order[run]), -1)
        room.leave()
        square = np.einsum("nk,nk->n", rest, rest, dtype=np.float64)
        for apart in _ALIKE:
            pairs = np.einsum("nk,nk->n", rest[apart:], rest[:-apart])
            both += float(pairs.sum(dtype=np.float64))
            single += float((square[apart:].sum() + square[:-apart].sum()) / 2)
    return both / single if single else 0.0
