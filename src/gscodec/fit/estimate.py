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

from gscodec.errors import GscodecError
from gscodec.fit.glances import from_around, from_within
from gscodec.fit.pixels import PixelSensitivity, coherent
from gscodec.fit.sensitivity import COHERENCE_DC, LOW_PASS, core_of, pixel_sizes
from gscodec.geometry import Lattice, morton
from gscodec.slices import in_slices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gscodec.fit.gaussians import GaussianSource
    from gscodec.scene import GaussianScene

    Floats = NDArray[np.float32]

SHA256 = "b0b903ec9215b4bbc4568d315fcd5b59eb1e5d7941fe0db24345c7e0d4837944"
HIDDEN = 16
# Ratios of colour, colour with what agrees, opacity, three scales, twist, swing, position.
OUTPUTS = 9
INPUTS = 19
_WIDEST = 4.0  # deviations of an input from what is usual
_LATTICE_BITS = 16  # for an order in which close Gaussians are close
_APART = (1, 2, 3, 4)  # places in this order that may be close
_ALIKE = 1, 2, 4  # of which SH coefficients are compared
# From how alike they are to what would be measured, and what is left of noise: on four scenes.
_ALIKE_NOISE, _ALIKE_GAIN = 0.05, 1.4
# Where they agree, other errors do, too: from rendered PSNR on four scenes, of which two are such.
_MORE_WHERE_ALIKE = 0.33
_C0 = 0.28209479177387814


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


def estimated(
    scene: GaussianScene, source: GaussianSource, estimator: Estimator
) -> tuple[PixelSensitivity, float]:
    """What `fit.pixels.measure` and `coherence` would give for ``scene``, about."""
    order = order_of(scene)
    agreeing = coherent(_ALIKE_GAIN * (_alike(scene, order) - _ALIKE_NOISE))
    ratio = np.exp(estimator(inputs_of(scene, source, order)).astype(np.float64)).T
    ratio *= 1 + _MORE_WHERE_ALIKE * agreeing
    prior = source.weights
    rotation = prior.rotation * ratio[6:8].T
    colour = prior.dc * ratio[0]
    overlap = 1 + np.maximum(ratio[1] / ratio[0] - 1, 0) / COHERENCE_DC
    pixels = PixelSensitivity(
        position=(prior.position.T * ratio[8]).T,
        opacity=prior.opacity * ratio[2],
        scale=prior.scale * ratio[3:6].T,
        rotation=rotation[:, [0, 1, 1]],
        colour=colour,
        weight=colour * overlap,
    )
    return pixels, agreeing


def order_of(scene: GaussianScene) -> NDArray[np.int64]:
    """(N,) in which close Gaussians are close."""
    codes = morton.encode(Lattice.covering(scene.means, _LATTICE_BITS).quantize(scene.means))
    return np.argsort(codes, kind="stable")


def inputs_of(scene: GaussianScene, source: GaussianSource, order: NDArray[np.int64]) -> Floats:
    """What a network sees of ``scene``, in ``order`` along the Morton curve: (N, INPUTS)."""
    means, logs = scene.means.astype(np.float64), source.columns[1]
    opacity = 1 / (1 + np.exp(-source.columns[0][:, 0]))
    centre, size = core_of(means, logs)
    places = ((means - centre) / size).astype(np.float32)
    a, b, c = np.exp(logs - np.log(size)).T
    area = 2 * np.pi * (a * b + a * c + b * c) / 3
    cover = (opacity * area).astype(np.float32)
    around, within = from_around(places, cover), from_within(places, cover)
    pixel = pixel_sizes(means, logs)[:, None]
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
        *(_log2(found, 1e-9) - breadth for found in _distances(places, order)),
        _log2(np.square(0.5 + _C0 * scene.sh_dc).mean(axis=1), 1e-4),
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def _log2(values: NDArray[np.floating], least: float) -> NDArray[np.floating]:
    result: NDArray[np.floating] = np.log2(np.maximum(values, least))
    return result


def _distances(
    places: Floats, order: NDArray[np.int64]
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """To the nearest, and to a middle one, of the places around in ``order``: each (N,)."""
    own = places[order]
    found = np.full((2 * len(_APART), len(own)), 1e9, np.float32)
    for number, apart in enumerate(_APART):
        away = np.linalg.norm(own[apart:] - own[:-apart], axis=1)
        found[2 * number, : len(away)] = away
        found[2 * number + 1, len(own) - len(away) :] = away
    found.sort(axis=0)
    back = np.empty((2, len(own)), np.float32)
    back[:, order] = found[[0, len(_APART)]]
    return back[0], back[1]


def _alike(scene: GaussianScene, order: NDArray[np.int64]) -> float:
    """How alike higher SH coefficients of close Gaussians are, 1 if they are the same."""
    rest = scene.sh_rest.reshape(len(scene), -1)[order]
    square = np.einsum("nk,nk->n", rest, rest, dtype=np.float64)
    both = single = 0.0
    for apart in _ALIKE:
        both += float(np.einsum("nk,nk->n", rest[apart:], rest[:-apart]).sum(dtype=np.float64))
        single += float((square[apart:].sum() + square[:-apart].sum()) / 2)
    return both / single if single else 0.0
