"""Training of method ralhe: latents on levels of the octree, learned with all that sees them.

Latents are free numbers, rounded from the start; their slopes go straight through the rounding.
They start as what the values of primitives have in common: on each level, from the coarsest, the
first principal components of the means over its cells, of what is not explained yet. Then they,
the networks that code them, the synthesis, and the networks of all units (`fit.masked`) descend
together on the bits of a primitive, of which a latent's are shared by all primitives of its
cell, and the errors of its values. Slopes are in closed form; numpy float32.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from gscodec.coding import LEVELS_PER_OCTAVE
from gscodec.fit import hemgs
from gscodec.fit.adam import Adam
from gscodec.fit.integers import WEIGHT_SHIFT, integer_network
from gscodec.fit.slopes import SMALLEST_SIGMA, by_laplace
from gscodec.fit.targets import UNIT
from gscodec.geometry.nodes import Nodes
from gscodec.intnet.latents import (
    LATENT_BITS,
    MAX_LATENT,
    Latents,
    Seen,
    encode_values,
    inputs_of,
    turns_of,
)
from gscodec.intnet.network import ACTIVATION_MAX, INPUT_MAX

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import ThreadPoolExecutor

    from numpy.typing import NDArray

    from gscodec.fit.options import Options
    from gscodec.fit.table import Run
    from gscodec.fit.targets import Target, Targets
    from gscodec.intnet.box import Box
    from gscodec.units import Place

    Floats = NDArray[np.float32]

_FEWEST = 4000  # primitives that latents pay for
_SHARED_BY = 32  # primitives of a node of the finest level, at least, in the mean
_FEWEST_NODES = 32  # of a level
_LEVELS = 2
_MANY = 50_000  # primitives from which on more latents pay
_CHANNELS = 2, 3  # latents of a node, of few primitives and of many
_FEATURES = 4  # that primitives see
_HIDDEN, _HIDDEN_SYNTHESIS = 6, 8
_FIRST_STEP = 0.6  # of latents at first, in deviations of the values
_FASTER = 10.0  # latents move so many times faster than weights
_ROWS = 768  # of a shard, in a step
_TRUST = 50  # steps for which the context of latents is kept
_FARTHEST = 4.0  # deviations: values beyond do not pull at first
_AN_INPUT = (1 << LATENT_BITS) / UNIT  # that a latent of one is


def learn(
    place: Place,
    targets: Targets,
    options: Options,
    share: float,
    progress: Callable[[float], None],
) -> tuple[Box, int, hemgs.Learned, Latents, bytes]:
    """As `fit.hemgs.learn`; and how latents are coded, and the bytes of them."""
    depths = _depths(place)
    if not depths:
        box, usual, learned = hemgs.learn(place.codes, targets, options, share, progress)
        latents = Latents((), 0, (), ())
        return box, usual, learned, latents, encode_values(latents, (), ())
    channels = _CHANNELS[len(place.codes) >= _MANY]
    rng = np.random.default_rng(options.seed)
    pyramid = _Pyramid(place, depths, _starts(targets), channels, rng)
    train = partial(_Training, pyramid)
    box, usual, learned = hemgs.learn(place.codes, targets, options, share, progress, train)
    latents = pyramid.integers()
    return box, usual, learned, latents, encode_values(latents, pyramid.nodes, pyramid.values())


def _depths(place: Place) -> list[int]:
    """Of the levels, rising: the finest whose nodes are shared enough, and those above it."""
    count = len(place.codes)
    if count < _FEWEST:
        return []
    sizes = [len(Nodes.of(place, depth)) for depth in range(place.bits + 1)]
    finest = max(depth for depth, size in enumerate(sizes) if size * _SHARED_BY <= count)
    depths = range(max(1, finest - _LEVELS + 1), finest + 1)
    return [depth for depth in depths if sizes[depth] >= _FEWEST_NODES]


def _starts(targets: Sequence[Target]) -> Floats:
    """What latents are to tell: (N, columns) values in deviations, those that cost bits."""
    found = []
    for target in targets:
        values, unit = target.values, target.unit
        there = np.ones(values.shape, bool) if target.present is None else target.present
        count = np.maximum(there.sum(axis=0), 1)
        away = np.where(there, values - (values * there).sum(axis=0) / count, 0)
        deviation = np.sqrt((away * away).sum(axis=0) / count) + 1e-30
        worth = np.ones(values.shape[1])
        if not unit.decides:
            offset = np.array(unit.step_offset) / LEVELS_PER_OCTAVE
            ideal = (target.log2_ideal[:, unit.step_of] + offset).mean(axis=0)
            worth = np.clip(np.log2(deviation) - ideal + 2, 0, 1)
        found.append(np.clip(away / deviation, -_FARTHEST, _FARTHEST) * worth)
    return np.concatenate(found, axis=1).astype(np.float32)


class _Perceptron:
    """A small network: where its parameters are in a flat array, and their slopes."""

    def __init__(self, widths: Sequence[int], start: int) -> None:
        pairs = list(pairwise(widths))
        self.shapes = [
            shape for rows, columns in pairs for shape in ((rows, columns), (columns,))
        ]
        ends = start + np.cumsum([math.prod(shape) for shape in self.shapes])
        self._parts = [slice(a, b) for a, b in pairwise([start, *ends.tolist()])]
        self.end = self._parts[-1].stop

    def split(self, flat: Floats) -> list[Floats]:
        """Weights and biases, views of ``flat``."""
        return [flat[p].reshape(s) for p, s in zip(self._parts, self.shapes, strict=True)]

    def start(self, flat: Floats, rng: np.random.Generator) -> None:
        """Puts random weights; outputs start near the biases."""
        parts = self.split(flat)
        for number in range(0, len(parts), 2):
            shape = parts[number].shape
            parts[number][:] = (rng.random(shape) * 2 - 1) / math.sqrt(shape[0])
        parts[-2] *= 0.1

    def __call__(self, flat: Floats, x: Floats) -> list[Floats]:
        """Activations of all layers (B, width), inputs ``x`` first, outputs last."""
        parts, found = self.split(flat), [x]
        for number in range(0, len(parts), 2):
            z = found[-1] @ parts[number] + parts[number + 1]
            if number + 2 < len(parts):
                z = np.floor(np.clip(z, 0, ACTIVATION_MAX / UNIT) * UNIT) * (1 / UNIT)
            found.append(z.astype(np.float32))
        return found

    def slopes(self, flat: Floats, seen: list[Floats], by_out: Floats, into: Floats) -> Floats:
        """Adds those of all parameters to ``into``; returns those by the inputs."""
        weights, found = self.split(flat), self.split(into)
        for layer in range(len(seen) - 2, -1, -1):
            found[2 * layer] += seen[layer].T @ by_out
            found[2 * layer + 1] += by_out.sum(axis=0)
            by_out = by_out @ weights[2 * layer].T
            if layer:
                by_out *= (seen[layer] > 0) & (seen[layer] < ACTIVATION_MAX / UNIT)
        return by_out


@dataclass
class _Level:
    """Nodes of one depth.

    Attributes:
        nodes: Where they are.
        part: Of the flat parameters, their latents.
        of_row: (N,) node of each primitive.
        share: (n,) of a primitive in the bits of a node.
        of_finest: Node of each node of the finest level.
        faces: (n, 6) nodes around.
        entropy: Its network.
        context: (n, inputs) that this network sees.
    """

    nodes: Nodes
    part: slice
    of_row: NDArray[np.int64]
    share: Floats
    of_finest: NDArray[np.int64]
    faces: NDArray[np.int64]
    entropy: _Perceptron
    context: Floats


@dataclass
class _Sight:
    """What some rows see of latents: activations of the synthesis, and the nodes looked at."""

    rows: NDArray[np.int64]
    finest: NDArray[np.int64]
    layers: list[Floats]

    @property
    def made(self) -> Floats:
        """(B, features) as units see it."""
        return np.clip(np.floor(self.layers[-1] * UNIT), -INPUT_MAX, INPUT_MAX) * np.float32(
            1 / UNIT
        )


class _Pyramid:
    """All latents, the networks that code them, and the synthesis.

    Attributes:
        parameters: (P,) latents, in `_FASTER`, then weights and biases.
        features: That primitives see.
    """

    def __init__(
        self,
        place: Place,
        depths: Sequence[int],
        wanted: Floats,
        channels: int,
        rng: np.random.Generator,
    ) -> None:
        """Latents start as what ``wanted`` (N, columns) has in common within the nodes."""
        self._channels, self._levels = channels, list[_Level]()
        self.features = _FEATURES
        nodes = [Nodes.of(place, depth) for depth in depths]
        starts = _components(nodes, place, wanted, channels)
        first = np.cumsum([0, *(start.size for start in starts)]).tolist()
        self._free = end = first[-1]
        for own, (a, b) in zip(nodes, pairwise(first), strict=True):
            entropy = _Perceptron([3 * channels, _HIDDEN, _HIDDEN, 2 * channels], end)
            end = entropy.end
            rows = own.of_codes(place.codes, place.bits)
            share = (1 / np.bincount(rows)).astype(np.float32)
            of_finest = own.holding(nodes[-1], slice(None))
            faces = own.faces(slice(None))
            nothing = np.zeros((len(share), 3 * channels), np.float32)
            level = _Level(own, slice(a, b), rows, share, of_finest, faces, entropy, nothing)
            self._levels.append(level)
        widths = [2 * channels * len(depths), *[_HIDDEN_SYNTHESIS] * 2, self.features]
        self._synthesis = _Perceptron(widths, end)
        self.parameters = np.zeros(self._synthesis.end, np.float32)
        self.parameters[: self._free] = np.concatenate([s.ravel() for s in starts]) / _FASTER
        self._units = np.zeros(len(self.parameters), np.float32)
        for network in self._networks:
            network.start(self.parameters, rng)
            for number, part in enumerate(network.split(self._units)):
                part[:] = (UNIT if number % 2 else 1) << WEIGHT_SHIFT
        for level in self._levels:
            level.entropy.split(self.parameters)[-1][channels:] = 1
        self._rounded = self.parameters.copy()
        self._age = 0
        self.round()

    @property
    def _networks(self) -> list[_Perceptron]:
        return [*(level.entropy for level in self._levels), self._synthesis]

    @property
    def nodes(self) -> list[Nodes]:
        """Of all levels."""
        return [level.nodes for level in self._levels]

    def round(self) -> None:
        """What is seen and coded from now on is what the parameters round to."""
        free, units = self._free, self._units[self._free :]
        np.rint(self.parameters[:free] * _FASTER, out=self._rounded[:free])
        np.clip(self._rounded[:free], -MAX_LATENT, MAX_LATENT, out=self._rounded[:free])
        np.rint(self.parameters[free:] * units, out=self._rounded[free:])
        self._rounded[free:] /= units
        if self._age % _TRUST == 0:
            self._look()
        self._age += 1

    def _look(self) -> None:
        """Makes the contexts anew."""
        above = None
        for level, values in zip(self._levels, self.values(), strict=True):
            inputs = inputs_of(values)
            for rows, context in turns_of(level.nodes, inputs, above):
                level.context[rows] = context * np.float32(1 / UNIT)
            above = Seen(level.nodes, inputs)

    def values(self) -> list[NDArray[np.int64]]:
        """Latents (nodes, channels) of all levels."""
        parts = (self._rounded[level.part] for level in self._levels)
        return [part.reshape(-1, self._channels).astype(np.int64) for part in parts]

    def seen(self, rows: NDArray[np.int64]) -> _Sight:
        """By the primitives ``rows`` (B,)."""
        finest = self._levels[-1].of_row[rows]
        parts = []
        for level in self._levels:
            latents, at = self._latents(level), level.of_finest[finest]
            near = latents[level.faces[at]].sum(axis=1) * (_AN_INPUT / level.faces.shape[1])
            parts += [latents[at] * _AN_INPUT, np.floor(near * UNIT) / UNIT]
        x = np.concatenate(parts, axis=1).astype(np.float32)
        return _Sight(rows, finest, self._synthesis(self._rounded, x))

    def _latents(self, level: _Level) -> Floats:
        return self._rounded[level.part].reshape(-1, self._channels)

    def slopes(self, sight: _Sight, by_made: Floats) -> Floats:
        """Of the loss by all parameters, given those by what is seen, (B, features)."""
        found = np.zeros_like(self.parameters)
        out = sight.layers[-1]
        by_out = by_made * (np.abs(out) < INPUT_MAX / UNIT)
        by_x = self._synthesis.slopes(self._rounded, sight.layers, by_out, found) * _AN_INPUT
        for number, level in enumerate(self._levels):
            by_latents = found[level.part].reshape(-1, self._channels)
            at = level.of_finest[sight.finest]
            first = 2 * number * self._channels
            by_own, by_near = np.split(by_x[:, first : first + 2 * self._channels], 2, axis=1)
            np.add.at(by_latents, at, by_own)
            faces = level.faces[at]
            for face in faces.T:
                np.add.at(by_latents, face, by_near / faces.shape[1])
            self._add_rate(level, sight.rows, found, by_latents)
        found[: self._free] *= _FASTER
        return found

    def _add_rate(
        self, level: _Level, rows: NDArray[np.int64], found: Floats, by_latents: Floats
    ) -> None:
        """Adds the slopes of the bits that ``rows`` share in."""
        at = level.of_row[rows]
        layers = level.entropy(self._rounded, level.context[at])
        centre, spread = np.split(layers[-1], 2, axis=1)
        away = self._latents(level)[at] - np.floor(centre + 0.5)
        by_value, by_spread = _of_integers(away, spread)
        weight = level.share[at][:, None] / np.float32(len(rows))
        by_value *= weight
        by_spread *= weight
        np.add.at(by_latents, at, by_value)
        by_out = np.concatenate([-by_value, by_spread], axis=1)
        level.entropy.slopes(self._rounded, layers, by_out, found)

    def integers(self) -> Latents:
        """The networks as integers."""
        entropy = []
        for level in self._levels:
            weights = [w.astype(np.float64) for w in level.entropy.split(self._rounded)]
            weights[-1][self._channels :] += 0.5 / LEVELS_PER_OCTAVE  # what a floor loses
            entropy.append(integer_network(weights))
        synthesis = [w.astype(np.float64) for w in self._synthesis.split(self._rounded)]
        depths = tuple(level.nodes.depth for level in self._levels)
        networks = integer_network(synthesis)
        return Latents(depths, self._channels, tuple(entropy), (networks,))

    def made(self, rows: NDArray[np.int64]) -> NDArray[np.int8]:
        """What primitives ``rows`` see, by the integers of a decoder: (B, features)."""
        pairs = zip(self._levels, self.values(), strict=True)
        seen = [Seen(level.nodes, inputs_of(values)) for level, values in pairs]
        return self.integers().synthesised(seen)[self._levels[-1].of_row[rows]]


def _components(
    nodes: Sequence[Nodes], place: Place, wanted: Floats, channels: int
) -> list[Floats]:
    """Of each level (n, channels), in steps: principal components of means over its nodes."""
    found, left = [], wanted
    for level in nodes:
        rows = level.of_codes(place.codes, place.bits)
        count = np.bincount(rows)
        means = np.stack([np.bincount(rows, column) / count for column in left.T], axis=1)
        weighed = means * np.sqrt(count)[:, None]
        axes = np.linalg.eigh(weighed.T @ weighed)[1][:, ::-1][:, :channels]
        axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
        start = means @ axes / _FIRST_STEP
        left = left - (np.rint(start) * _FIRST_STEP @ axes.T)[rows].astype(np.float32)
        found.append(np.pad(start, ((0, 0), (0, channels - axes.shape[1]))).astype(np.float32))
    return found


def _of_integers(whole: Floats, spread: Floats) -> tuple[Floats, Floats]:
    """Slopes of the bits of integers by their values, and by log2 of the deviation."""
    sigma, size = np.exp2(spread), np.abs(whole)
    narrow = np.maximum(sigma, SMALLEST_SIGMA)
    by_size, by_spread = by_laplace(size, size, size == 0, narrow)
    by_spread *= np.minimum(sigma * (1 / SMALLEST_SIGMA), 1)
    return np.sign(whole) * by_size, by_spread


class _Training(hemgs.Training):
    """Of latents and all units."""

    def __init__(
        self,
        pyramid: _Pyramid,
        rows: Sequence[slice],
        runs: Sequence[Run],
        targets: Sequence[Target],
        hidden: int,
        seed: int,
    ) -> None:
        first, more = runs[0].first.shape[1], pyramid.features
        self._pyramid, self._made = pyramid, slice(first, first + more)
        self._rows = np.concatenate([np.arange(part.start, part.stop) for part in rows])
        wide = [replace(run, first=np.pad(run.first, ((0, 0), (0, more)))) for run in runs]
        super().__init__(rows, wide, targets, hidden, seed)

    def train(
        self,
        steps: int,
        course: hemgs.Course,
        pool: ThreadPoolExecutor,
        progress: Callable[[float], None],
    ) -> None:
        """As `hemgs.Training`, latents beside."""
        self._beside = Adam(self._pyramid.parameters, course.rate, steps)
        super().train(steps, course._replace(rows=_ROWS), pool, progress)

    def _look(
        self, pool: ThreadPoolExecutor, runs: slice = slice(None), *, at_first: bool = False
    ) -> None:
        self._table.known[:, self._made] = self._pyramid.made(self._rows)
        super()._look(pool, runs, at_first=at_first)

    def _take(self, gradients: Floats) -> None:
        own = len(self._model.parameters)
        super()._take(gradients[:own])
        self._beside.step(gradients[own:])
        self._pyramid.round()

    def _gradients(self, rows: NDArray[np.int64]) -> Floats:
        seen, means = self._table.seen(rows)
        sight = self._pyramid.seen(self._rows[rows])
        seen[:, self._made] = sight.made
        own, by_made = self._model.gradients(rows, seen, means, self._made)
        return np.concatenate([own, self._pyramid.slopes(sight, by_made.T)])
