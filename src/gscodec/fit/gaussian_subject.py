"""What a run of the encoder does with Gaussians: measures, prunes, draws and reports them."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, cast

import numpy as np

from gscodec.errors import CannotCodeError
from gscodec.fit import gaussians as fit
from gscodec.fit.gaussians import GaussianSource, Prune
from gscodec.fit.options import ITERATIONS_TO_SOURCE
from gscodec.fit.ordered import Estimated, Looked, Ordered
from gscodec.fit.pruning import pruned
from gscodec.fit.recolouring import MORE_STAGES, STAGES, recoloured
from gscodec.fit.subject import Manner, Subject, Work, pruned_note, reordered_note
from gscodec.geometry import MAX_BITS, Lattice, along_curve
from gscodec.geometry.rotation import rotated
from gscodec.kinds import Gaussians
from gscodec.kinds.aside import FAR, MAX_COORDINATE, OutlyingError, far_rows
from gscodec.kinds.finite import without_infinity
from gscodec.kinds.gaussians import MAX_LOG_SCALE, MAX_OPACITY_LOGIT
from gscodec.notes import Note
from gscodec.room import MEMORY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from gscodec.anchors import Scene
    from gscodec.fit.drawing import Moving
    from gscodec.fit.options import Options
    from gscodec.fit.subject import Asked, Columns
    from gscodec.kinds.aside import Aside
    from gscodec.room import Room
    from gscodec.scene import GaussianScene

_TOLERABLE = 2  # levels that an octree may have too few
_MAX_COLOUR = 1e15  # of a coefficient; squares of many must stay finite
_LARGEST_WEIGHT = 1e150  # of what a value does to pixels; quotients must stay finite
# Below, what the network of displacements takes is more than it saves.
_FEWEST_DISPLACED = 1024
# Gaussians at a time, and those whose median scale is that of a scene.
_AT_ONCE, _ENOUGH = 1 << 18, 1 << 20


class GaussianSubject(Subject):
    """See `fit.subject.Subject`."""

    scene: GaussianScene
    noun = "Gaussians"
    recolours = True
    # Values that overlap in a picture overshoot together, so larger steps undo more than they
    # mend. Nothing settles: colours that are found in the end mend more in less time.
    manner = Manner(0.25, 0.5)

    kind: Gaussians

    def __init__(self, aside: Aside, asked: Options) -> None:
        super().__init__()
        scene, room = cast("GaussianScene", aside.coded), aside.room
        for name, array, most in (
            ("positions", scene.means, MAX_COORDINATE),
            ("colours", scene.sh_dc, _MAX_COLOUR),
            ("colours", scene.sh_rest, _MAX_COLOUR),
        ):
            if array.size:
                low, high = room.bounds(array)
                if float(max(high.max(), -low.min())) > most:
                    raise CannotCodeError(f"{name} reach beyond {most:g}")
        limits = MAX_OPACITY_LOGIT, MAX_LOG_SCALE
        self.scene, self.notes = without_infinity(scene, *limits, room)
        self._shown = self.scene
        if aside.shown is not scene:
            shown = cast("GaussianScene", aside.shown)
            self._shown, _ = without_infinity(shown, *limits, room)
        displaced = asked.position_bits is None and len(scene) >= _FEWEST_DISPLACED
        self.kind = Gaussians(scene.sh_degree, scene.has_normals, displaced)
        self._extent = fit.extent_of(self.scene.means)

    @property
    def shown(self) -> GaussianScene:
        """What is coded, before any of it was merged."""
        return self._shown

    def price(self, lam: float) -> float:
        """Squared error of a picture that a bit is worth."""
        return fit.price(lam, len(self.scene))

    def measure(self, run: Asked, scene: Scene) -> Looked | Estimated:
        """What each value of ``scene`` does to pixels."""
        gaussians, report = cast("GaussianScene", scene), partial(run.progress, "measure")
        if run.options.effort == "instant":
            from gscodec.fit.estimate import About

            report(0.0)
            room = run.given.room
            room.leave()
            order = along_curve(gaussians.means, room)
            about = About.of(gaussians, order, room)
            return Estimated(about, about.positions(gaussians, order, room), order)
        source = GaussianSource.of(gaussians.without_rest())
        with np.errstate(over="ignore", invalid="ignore"):  # looked for below
            cameras, how = run.views.measuring, run.views.how
            keep, seed = scene is self.scene, run.options.seed
            seen = source.seen(gaussians, cameras, how, seed, report, keep=keep)
            weighed = source.weighed(seen)
        if not weighed.weights.largest() < _LARGEST_WEIGHT:  # NaN is not below either
            raise CannotCodeError("values are so large that pictures of them mean nothing")
        return Looked(weighed)

    def check(self, run: Asked, lam: float) -> None:
        """Two levels of the octree too few are tolerable, more are not."""
        weight, extent = self._position_weight(run), self._extent
        bits = fit.position_bits(weight, extent, self.price(lam))
        if bits <= MAX_BITS + _TOLERABLE:
            return
        rows = far_rows(self.scene.means, math.ldexp(extent, MAX_BITS - bits))
        few = run.aside.more(run.aside.kept[rows], FAR) is not None
        if few or run.options.position_bits is None:
            message = f"positions need {bits} bits, the lattice has at most {MAX_BITS}"
            raise OutlyingError(rows, FAR, message)

    def _position_weight(self, run: Asked) -> float:
        """As measured; about, where some of the Gaussians leave before that."""
        if self._prunes(run):
            return fit.position_weight(self.scene)
        return float(self.measured(run, self.scene).position)

    def _prunes(self, run: Asked) -> bool:
        return run.looks and not run.options.keep_all

    def prepared(
        self, run: Asked, scene: Scene, index: NDArray[np.int64], lam: float, *, prune: bool
    ) -> Work:
        """On a lattice as fine as ``lam`` asks for."""
        gaussians, price = cast("GaussianScene", scene), self.price(lam)
        if prune and self._prunes(run):
            gaussians, kept = self._pruned(run, gaussians, price)
            index = index[kept]
        found, extent = self.measured(run, gaussians), fit.extent_of(gaussians.means)
        bits = run.options.position_bits
        if bits is None:
            bits = min(fit.position_bits(found.position, extent, price), MAX_BITS)
        room = run.given.room
        lattice, codes = _cells(gaussians, bits, room)
        if self.kind.displaced:
            lattice, codes = _cells(gaussians, fit.cell_bits(np.sort(codes), bits), room)
        order = found.sorted(codes, room)
        ordered = gaussians.take(order, room)
        displaced = lattice if self.kind.displaced else None
        source = Ordered(ordered, found.weighs(order), displaced)
        return Work(ordered, room.take(index, order), source, lattice, room.take(codes, order))

    def _pruned(
        self, run: Asked, scene: GaussianScene, price: float
    ) -> tuple[GaussianScene, NDArray[np.int64]]:
        """See `pruning.pruned`; where Gaussians were merged, colours make up for that too."""
        prune = Prune.by_colours(len(run.views.pruning))
        if self.descends_once(run):
            iterations = run.options.iterations or ITERATIONS_TO_SOURCE
            prune = Prune.by_descent(len(run.views.cameras), iterations)
        elif run.descends:
            prune = Prune.by_rounds(len(run.views.pruning))
        worth = prune.worth(scene, price)
        report = partial(run.progress, "prune")
        views, same = run.views, scene is run.views.scene
        shown = views.remember if same else lambda *_: None
        target = self.shown if scene is self.scene and not same else None
        return pruned(scene, views.pruning, views.how, worth, report, shown, target)

    def recoloured(self, run: Asked, work: Work, decoded: Callable[[Work], Scene]) -> Work:
        """The constant ones: all of them first, then those that others cannot make up for.

        After a descent to photographs, pictures of where it led are what is aimed at.
        """
        views, stages = run.views, MORE_STAGES if run.descends else STAGES
        if run.descends and views.photographs is not None:
            views = replace(views, scene=work.scene)

        def report(done: int, share: float) -> None:
            run.progress("colour", (done + share) / len(stages))

        for number, stage in enumerate(stages):
            report(number, 0.0)
            scene, is_now = (cast("GaussianScene", s) for s in (work.scene, decoded(work)))
            free = stage.free(len(scene))
            looks_for = np.where(free[:, None], scene.sh_dc, is_now.sh_dc)
            found = recoloured(
                replace(is_now, sh_dc=looks_for),
                views.pruning,
                views.how,
                views.shows,
                partial(report, number),
                free=free,
                steps=stage.steps,
            )
            source = cast("Ordered | GaussianSource", work.source).recoloured(found)
            work = replace(work, scene=replace(scene, sh_dc=found), source=source)
        return work

    def drawing(self, run: Asked, work: Work) -> Moving:
        """``work`` as it is drawn while it changes."""
        from gscodec.fit.devices import on_device
        from gscodec.fit.drawing import GaussianDrawing

        source = cast("Ordered", work.source)
        device = on_device(run.options.device)
        return GaussianDrawing(
            work.positions, source.disc, run.views.how, device, cell=source.cell
        )

    def moved(self, work: Work, columns: Columns, drawing: Moving) -> Scene:  # noqa: ARG002
        """About the axes that the source has."""
        disc = cast("Ordered", work.source).disc
        scene = fit.to_scene(columns, cast("GaussianScene", work.scene), disc)
        if not self.kind.displaced:
            return scene
        places = work.cells + rotated(scene.quats, columns[-1])
        return replace(scene, means=work.lattice.positions(places))

    def dressed(self, scene: Scene) -> Scene:
        """With what programs that draw it need to know."""
        return replace(
            cast("GaussianScene", scene),
            antialiased=self.scene.antialiased,
            origin=self.scene.origin,
        )

    def report(self, run: Asked, work: Work, decoded: Scene) -> dict[str, object]:
        """How far positions move."""
        gaussians = cast("GaussianScene", decoded)
        return {
            "position_error": position_error(self.scene, gaussians, work.index, run.given.room)
        }

    def told(self, run: Asked, work: Work) -> tuple[str, ...]:
        """Notes."""
        scene, room = cast("GaussianScene", work.scene), run.given.room
        gone, before, colours = len(self.scene) - len(scene), self.scene.sh_dc, scene.sh_dc
        moved = any(
            not np.array_equal(colours[rows], before[work.index[rows]])
            for rows in room.slices(len(scene))
        )
        text = "moved colours to make up for what else changes"
        return (
            *pruned_note(gone, len(self.scene), "Gaussians"),
            *((Note(text, "made-up-for"),) if moved else ()),
            reordered_note(len(scene), "Gaussians"),
            *run.views.notes,
            *fit.changes(scene, room),
            *(() if self.kind.displaced else _duplicates(work.codes)),
        )


def _cells(scene: GaussianScene, bits: int, room: Room) -> tuple[Lattice, NDArray[np.uint64]]:
    """A lattice of this depth, and the Morton codes of the cells that Gaussians are in."""
    lattice = Lattice.covering(scene.means, bits)
    return lattice, lattice.codes(scene.means, room)


def position_error(
    scene: GaussianScene, decoded: GaussianScene, index: NDArray[np.int64], room: Room = MEMORY
) -> dict[str, float]:
    """Largest and RMS distance, in scene units and in median Gaussian scales.

    ``decoded`` are the Gaussians ``index`` of ``scene``; arrays are where there is ``room``. Of
    positions that were doubles, with what float32 may have cost them.
    """
    largest, total, rounding = 0.0, 0.0, scene.most_rounding
    for rows in room.slices(len(decoded), _AT_ONCE):
        offset = decoded.means[rows].astype(np.float64) - scene.means[index[rows]]
        distance = np.sqrt((offset**2).sum(axis=1)) + rounding
        largest = max(largest, float(distance.max()))
        total += float((distance**2).sum())
    some = scene.log_scales[:: 1 + len(scene) // _ENOUGH]
    median = float(np.median(some.astype(np.float64)))
    scale = math.exp(min(max(median, -MAX_LOG_SCALE), MAX_LOG_SCALE))
    rms = math.sqrt(total / len(decoded))
    return {
        "max": largest,
        "rms": rms,
        "max_over_median_scale": largest / scale,
        "rms_over_median_scale": rms / scale,
    }


def _duplicates(codes: NDArray[np.uint64]) -> Iterable[str]:
    """A note about Gaussians that share a lattice cell; they are kept."""
    shared = len(codes) - fit.alone(codes)
    if shared:
        told = f"{shared} Gaussians share a lattice cell with another (all are kept)"
        yield Note(told, "share-a-cell", changed=False, gaussians=shared)
