"""Learns the prior of method hemgs, the networks that come with the package, from whole scenes.

    python tests/benchmarks/prior.py --scenes ../shared/scenes --out prior.bin [--without mic ...]

Every scene is learned from as it is, and augmented: columns shifted, scaled, mirrored and mixed,
other lambdas, every second or fourth Gaussian alone. Measuring them takes about a minute a scene
(``--cache`` keeps that), training as long as ``--steps`` says. One thread, one seed: the same
scenes give the same bytes on the same machine.

What is shipped was made by the defaults. Only scenes whose licence lets what is learned from them
be passed on are named here.
"""

from __future__ import annotations

import argparse
import hashlib
import pickle
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from gscodec.coding import LEVELS_PER_OCTAVE, Family
from gscodec.fit.adam import Adam
from gscodec.fit.integers import WEIGHT_SHIFT, integer_model
from gscodec.fit.masked import Masked
from gscodec.fit.options import Given, Options
from gscodec.fit.table import Columns, Table, placed
from gscodec.fit.targets import UNIT, Scaled, Target
from gscodec.intnet.box import POSITION_FEATURES, box_around
from gscodec.intnet.neighbours import FIRST, GAIN_BITS, MAX_GAIN, WEIGHT_BITS
from gscodec.intnet.prior import Prior, Shared, rate_of
from gscodec.kinds.gaussians import ROTATION, SCALE, SH_DC, SH_REST, gaussian_units
from gscodec.learned.wanted import encode
from gscodec.methods.hemgs import METHOD
from gscodec.sceneio import read_ply
from gscodec.threads import one_blas_thread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gscodec.fit.subject import Work
    from gscodec.units import Unit

    Floats = NDArray[np.float32]
    Cells = NDArray[np.int64]

LAMBDA = 1e-3
OCTAVES = -1.0, 2.0  # of steps beyond those at LAMBDA: lambda from 2.5e-4 to 1.6e-2
# Folder -> versions of a scene to learn from, itself and augmented ones. Licences: CC0, CC-BY-4.0
# (playbot: Stephane Agullo, sa3d.fr; plant, tarot: marcelpadilla/splats), MIT (the statues:
# playcanvas/web-components).
SCENES = {
    "mic": 24,
    "mic-small": 16,
    "playbot": 24,
    "plant": 12,
    "more/angel": 6,
    "more/angel-kneeling": 6,
    "more/massa": 6,
    "more/tarot": 8,
    "more/trumpet": 6,
}
RUN, RUNS, RUNS_AS_IS = 2048, 4, 8  # primitives of a run along the curve, runs of a version
HIDDEN, STEPS, ROWS, RATE, LOOKS = 24, 20_000, 1024, 1e-2, 8
SMALLEST = 6000  # of a scene that is thinned


class MeasuredError(Exception):
    """What a training would be given."""


def measured(folder: Path) -> tuple[Cells, list[Target]]:
    """Cells and targets of the scene in ``folder``, as method hemgs has them at `LAMBDA`."""

    def fit(work: Work, targets: Sequence[Target], *_: object) -> NoReturn:
        raise MeasuredError(work.cells, list(targets))

    scene = read_ply((folder / "scene.ply").read_bytes()).scene
    method, options = replace(METHOD, fit=fit), Options(lam=LAMBDA, threads=1)
    try:
        encode(method, scene, options, Given(), lambda *_: None)
    except MeasuredError as found:
        return found.args[0], found.args[1]
    raise AssertionError("training was not asked for")


def augmented(targets: Sequence[Target], rng: np.random.Generator) -> list[Target]:
    """As if of another scene at another lambda."""
    octaves = rng.uniform(*OCTAVES)
    chroma, swap = rng.uniform(-1.5, 1.5), rng.random() < 0.5
    varying = _varying(len(targets[0].values), rng)
    changed = []
    for number, target in enumerate(targets):
        v, more = target.values, octaves
        if number == ROTATION:
            v = v * rng.choice([-1, 1], 3)
        elif number == SCALE:
            v = v + rng.uniform(-2, 2)
        elif number == SH_DC:
            louder = rng.uniform(-0.7, 0.7)
            order = [0, 2, 1] if swap else [0, 1, 2]
            factor = np.exp2(louder + np.array([0, chroma, chroma])) * rng.choice([-1, 1], 3)
            v = v[:, order] * factor
            v, more = v + rng.uniform(-1, 1, 3) * v.std(axis=0), more + louder / 2
        elif number >= SH_REST:
            v = _mixed(v, 1 + (number - SH_REST) % 2, rng) * varying[:, None]
        else:
            v = v * 2 ** rng.uniform(-0.3, 0.3) + rng.uniform(-1, 1)
        changed.append(replace(target, values=v, log2_ideal=target.log2_ideal + more))
    return changed


def _mixed(
    values: NDArray[np.float64], parts: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Coefficients of ``parts`` colours of a degree, turned at random and louder or not."""
    own = np.split(values, parts, axis=1)
    width = own[0].shape[1]
    turn = np.linalg.qr(rng.normal(size=(width, width)))[0] * 2 ** rng.uniform(-1, 1)
    order = rng.permutation(parts)
    return np.concatenate([own[n] @ turn for n in order], axis=1)


def _varying(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """(count,) how loud the higher SH degrees of each Gaussian are made."""
    alone, together = rng.choice([0, 0.5, 1]), rng.choice([0, 0.5, 1])
    length = int(rng.integers(30, 1000))
    knots = rng.normal(size=count // length + 2)
    smooth = np.interp(np.arange(count) / length, np.arange(len(knots)), knots)
    loud: NDArray[np.float64] = np.exp2(alone * rng.normal(size=count) + together * smooth)
    if rng.random() < 0.3:
        loud *= rng.random(count) < np.clip(0.6 + 0.4 * smooth, 0.1, 1)
    return loud


def taken(target: Target, runs: Sequence[slice]) -> Target:
    """``target`` of the primitives of ``runs``."""
    values, ideal = (
        np.concatenate([array[run] for run in runs])
        for array in (target.values, target.log2_ideal)
    )
    return Target(target.unit, target.family, values, ideal)


@dataclass(frozen=True)
class Version:
    """A scene, or what was made of it, in runs along the curve.

    Attributes:
        table: What networks see.
        rates: Of each unit.
    """

    table: Table
    rates: list[int]

    @classmethod
    def of(
        cls, cells: Cells, targets: Sequence[Target], rng: np.random.Generator, *, as_is: bool
    ) -> Version:
        """Constants are those of the whole scene, as in a file."""
        if not as_is:
            thin = int(rng.choice([1, 1, 2, 4])) if len(cells) >= 4 * SMALLEST else 1
            cells = cells[::thin]
            targets = augmented([taken(t, [slice(None, None, thin)]) for t in targets], rng)
        length, count = min(RUN, len(cells)), RUNS_AS_IS if as_is else RUNS
        starts = rng.integers(0, len(cells) - length + 1, count)
        if as_is:
            starts = np.linspace(0, len(cells) - length, count).astype(np.int64)
        runs = [slice(int(start), int(start) + length) for start in starts]
        with ThreadPoolExecutor(1) as pool:
            _, places = placed([cells[run] for run in runs], box_around(cells), pool)
        for place in places:
            place.first[:, :POSITION_FEATURES] = 0  # nothing that transfers
        own = [taken(target, runs) for target in targets]
        whole = [Scaled.of(target) for target in targets]
        table = Table(places, own, list(map(_rescaled, own, whole)))
        return cls(table, [rate_of(s.log2_unit, s.bias) for s in whole])


def _rescaled(target: Target, whole: Scaled) -> Scaled:
    """``target`` in the units of the scene that it is of."""
    values = target.values - whole.mean * 2.0**-whole.fraction
    return replace(
        whole,
        values=(values * 2.0 ** (whole.fraction - whole.log2_unit)).astype(np.float32),
        ideal=(target.log2_ideal + whole.fraction - whole.log2_unit).astype(np.float32),
    )


class Learning(Masked):
    """One set of networks for all versions, each of which has steps of its own."""

    def __init__(self, versions: Sequence[Version], rng: np.random.Generator) -> None:
        bounds = np.cumsum([0, *(len(v.table.known) for v in versions)]).tolist()
        self.spans = list(zip(versions, bounds[:-1], bounds[1:], strict=True))
        self.rows = bounds[-1]
        units = gaussian_units(3)
        targets, scaled = zip(*(self._merged(n, u) for n, u in enumerate(units)), strict=True)
        self.columns_of_units: list[Columns] = []
        used = FIRST
        for target in targets:
            self.columns_of_units.append(Columns(target, None, used))
            used = self.columns_of_units[-1].end
        self.used = used
        self.inputs = [self._inputs(n, len(units)) for n in range(len(units))]
        super().__init__(targets, scaled, self.inputs, HIDDEN, rng)
        self.base = np.zeros((self.rows, self.columns), np.float32)
        self.known = np.zeros((self.rows, used + len(units)), np.int8)
        self.means = np.zeros((self.rows, self.columns), np.int16)
        for version, start, end in self.spans:
            for number, rate in enumerate(version.rates):
                self.known[start:end, used + number] = rate
                own = version.table.units[number].scaled
                self.base[start:end, self.at[number]] = 0 if own is None else own.base

    def _merged(self, number: int, unit: Unit) -> tuple[Target, Scaled]:
        """A unit of all versions; those of lower SH degrees may lack it."""
        present = np.zeros((self.rows, unit.columns), bool)
        values = np.zeros((self.rows, unit.columns), np.float32)
        ideal = np.zeros((self.rows, unit.steps), np.float32)
        for version, start, end in self.spans:
            own = version.table.units[number].scaled if number < len(version.rates) else None
            if own is not None:
                present[start:end] = True
                values[start:end], ideal[start:end] = own.values, own.ideal
        family = Family.GAUSSIAN if number == ROTATION else Family.LAPLACE
        offset = np.array(unit.step_offset, np.float32) / np.float32(LEVELS_PER_OCTAVE)
        limits = np.array([-60, 60], np.float32)
        scaled = Scaled(0, 0, 0, 0, values, ideal, 0 * offset, offset, limits)
        return Target(unit, family, values, ideal, present), scaled

    def _inputs(self, number: int, units: int) -> NDArray[np.bool_]:
        """What a network sees: as in a file without positions, and its rate."""
        own = self.columns_of_units
        seen = np.zeros(self.used + units, bool)
        seen[: self.used] = own[number].inputs(FIRST, own[:number], self.used)
        seen[:POSITION_FEATURES] = False
        seen[self.used + number] = True
        return seen

    def of_rows(self, rows: NDArray[np.int64]) -> Floats:
        """Slopes of the loss of ``rows``, whose steps are those of their versions."""
        self._base = self.base[rows].T
        seen = self.known[rows] * np.float32(1 / UNIT)
        means = self.means[rows].T * np.float32(1 / (UNIT << WEIGHT_BITS))
        return self.gradients(rows, seen, means)[0]

    def start(self) -> None:
        """Outputs start as in a training of one scene."""
        there = np.maximum((self.base != 0).sum(axis=0), 1)
        self._base = (self.base.sum(axis=0) / there)[:, None]
        self.start_outputs(self.means)

    def look(self, *, at_first: bool) -> None:
        """Makes the tables of all versions anew."""
        with ThreadPoolExecutor(1) as pool:
            for version, start, end in self.spans:
                version.table.look(_Fixed(self, version.rates), pool, at_first=at_first)
                width = version.table.known.shape[1]
                self.known[start:end, :width] = version.table.known
                for number, at in enumerate(_Fixed(self, version.rates).at):
                    self.means[start:end, self.at[number]] = version.table.means[:, at]

    def learn(self, steps: int) -> None:
        """Adam, with a table that is made anew now and then."""
        rng = np.random.default_rng(1)
        looks = set(np.linspace(steps // 8, steps, LOOKS, endpoint=False).astype(int).tolist())
        self.look(at_first=True)
        self.start()
        optimiser = Adam(self.parameters, RATE, steps)
        for step in range(steps):
            self.round_parameters()
            if step in looks:
                self.look(at_first=False)
                print(f"step {step} of {steps}, {time.process_time():.0f} s", flush=True)
            optimiser.step(self.of_rows(rng.integers(0, self.rows, ROWS)))
        self.round_parameters()

    def prior(self) -> Prior:
        """As integers."""
        return Prior.of([self._shared(n, own) for n, own in enumerate(self.columns_of_units)])

    def _shared(self, number: int, own: Columns) -> Shared:
        weights = [w.astype(np.float64) for w in self.network(number)]
        rates = np.rint(weights[0][-1] * (1 << WEIGHT_SHIFT)).astype(np.int64)
        weights[0] = _with_positions(weights[0][:-1])
        model = integer_model(own.unit, own.family, _NO_CONSTANTS, weights)
        gains = np.rint(self.gains(number) * (1 << GAIN_BITS))
        gains = np.clip(gains, -MAX_GAIN, MAX_GAIN).astype(np.int64)
        return Shared(own.unit, own.keeps, gains, rates, model.network)


_NO_CONSTANTS = Scaled(0, 0, 0, 0, *(np.zeros(0, np.float32),) * 5)


def _with_positions(weights: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """First ``weights`` with those of positions, zeros."""
    zeros = np.zeros((POSITION_FEATURES, weights.shape[1]))
    return np.concatenate([zeros, weights.astype(np.float64)])


class _Fixed:
    """`Learning` as a version sees it: at its rates, without the units that it lacks."""

    def __init__(self, learning: Learning, rates: Sequence[int]) -> None:
        self._learning, self._rates = learning, rates
        sizes = [own.unit.columns for own in learning.columns_of_units[: len(rates)]]
        ends = np.cumsum([0, *sizes]).tolist()
        self.at = [slice(a, b) for a, b in pairwise(ends)]

    def network(self, number: int) -> list[Floats]:
        """See `Masked`."""
        learning = self._learning
        first, bias, *others = learning.network(number)
        rate = first[-1] * np.float32(self._rates[number] / UNIT)
        weights = _with_positions(first[:-1]).astype(np.float32)
        return [weights, bias + rate, *others]

    def gains(self, number: int) -> Floats:
        """See `Masked`."""
        return self._learning.gains(number)


def main() -> None:
    """Writes the prior, and says what its SHA-256 is."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--scenes", type=Path, required=True, help="folder of the scenes")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--without", nargs="*", default=[], help="scenes to leave out")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--cache", type=Path, help="folder for what is measured")
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    versions = []
    for name, count in SCENES.items():
        if name not in args.without:
            cells, targets = _cached(args.cache, args.scenes, name)
            versions += [Version.of(cells, targets, rng, as_is=not n) for n in range(count)]
    with one_blas_thread():
        learning = Learning(versions, rng)
        print(f"{len(versions)} versions, {learning.rows} rows", flush=True)
        learning.learn(args.steps)
    prior = learning.prior()
    args.out.write_bytes(prior.data)
    print(f"{len(prior.data)} bytes, SHA-256 {hashlib.sha256(prior.data).hexdigest()}")


def _cached(cache: Path | None, scenes: Path, name: str) -> tuple[Cells, list[Target]]:
    """`measured`, once if there is a ``cache``."""
    path = cache and cache / f"{name.replace('/', '-')}.pickle"
    if path is not None and path.exists():
        found: tuple[Cells, list[Target]] = pickle.loads(path.read_bytes())  # noqa: S301 - our own
        return found
    print(f"measuring {name}", flush=True)
    found = measured(scenes / name)
    if path is not None:
        path.write_bytes(pickle.dumps(found))
    return found


if __name__ == "__main__":
    main()
