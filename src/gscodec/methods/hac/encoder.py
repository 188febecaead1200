"""Scene to streams: measure, choose values (effort high), learn the model, code.

`Work` is a scene with all that does not depend on the model: order, lattice, wanted values. A
`Model` is learned for it at one lambda and codes it at this lambda, or at another one nearby
(`shifted`), which is how a wanted size or PSNR is found.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np

from gscodec.coding import encode_planes
from gscodec.errors import CannotCodeError
from gscodec.geometry import MAX_BITS, Lattice, morton
from gscodec.intnet.context import MAX_MEAN
from gscodec.methods import Coded, Progress
from gscodec.methods.hac import assembly
from gscodec.methods.hac.aside import (
    FAR,
    MAX_COORDINATE,
    OutlyingError,
    apart,
    far_rows,
    gaussian_rules,
)
from gscodec.methods.hac.blocks import BlockEncoder
from gscodec.methods.hac.finite import check_finite, without_infinity
from gscodec.methods.hac.layout import (
    Model,
    arrays,
    blocks,
    groups,
    in_parallel,
    joined,
    position_features,
)
from gscodec.methods.hac.outliers import fields_of, with_outliers
from gscodec.methods.hac.search import as_good_as, likely, require_psnr, search, shifted
from gscodec.payload import Payload, SceneKind
from gscodec.scene import ExtraProperty, GaussianScene

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from gscodec.fit.hac import Source
    from gscodec.fit.pixels import PixelSensitivity
    from gscodec.methods.hac.aside import Aside
    from gscodec.methods.hac.options import Options

_TOLERABLE = 2  # levels that an octree may have too few
_LARGEST_WEIGHT = 1e150  # of what a value does to pixels; quotients must stay finite
# Part of the agreement of errors (`fit.pixels.coherence`) that rounding values together leaves.
_LEFT_TOGETHER = 0.1
_OVERHEAD = 800  # bytes of header, notes and envelopes, about
_ENVELOPE = 40  # of each stream more, about


@dataclass(frozen=True)
class Work:
    """A scene that is ready to be modelled, in Morton order.

    Attributes:
        scene: The values that are wanted.
        index: (N,) int64, which Gaussian of the original scene each one is.
        source: The scene in coded columns.
        lattice: Of the positions.
        ijk: (N, 3) int64 lattice positions.
        codes: (N,) uint64 Morton codes, ascending.
    """

    scene: GaussianScene
    index: NDArray[np.int64]
    source: Source
    lattice: Lattice
    ijk: NDArray[np.int64]
    codes: NDArray[np.uint64]

    @classmethod
    def of(
        cls, scene: GaussianScene, index: NDArray[np.int64], source: Source, bits: int
    ) -> Work:
        """Puts everything on a lattice of depth ``bits`` and in order."""
        lattice = Lattice.covering(scene.means, bits)
        ijk = lattice.quantize(scene.means)
        codes = morton.encode(ijk)
        order = np.argsort(codes, kind="stable")
        sorted_scene, sorted_source = scene.take(order), source.take(order)
        return cls(sorted_scene, index[order], sorted_source, lattice, ijk[order], codes[order])

    @property
    def means(self) -> NDArray[np.float32]:
        """Positions as they will be decoded."""
        return self.lattice.positions(self.ijk)


def encode_gaussians(scene: GaussianScene, options: Options, progress: Progress) -> Coded:
    """Fits the context model to ``scene`` and codes it.

    Raises:
        CannotCodeError: The lattice or the integers cannot hold some value; method raw can.
        SceneError: The scene holds NaN, or infinity where it means nothing.
        UsageError: A wanted size or PSNR is out of reach.
    """
    if not len(scene):
        raise CannotCodeError("the scene is empty")
    check_finite(scene, "Gaussians")

    def encode(aside: Aside[GaussianScene]) -> Coded:
        encoding = Encoding(aside, options, progress)
        if options.target_bytes is None and options.target_psnr is None:
            return encoding.at(options.lam)
        return encoding.at_target()

    return apart(scene, "Gaussians", gaussian_rules, encode)


class Encoding:
    """One run of the encoder: what the steps share.

    Attributes:
        aside: The scene, and what of it is kept exactly.
        scene: What is coded of it.
        options: What is wanted.
        progress: Hears how far the work is.
        views: What the encoder looks at.
    """

    def __init__(
        self, aside: Aside[GaussianScene], options: Options, progress: Progress
    ) -> None:
        from gscodec.fit.hac import MAX_LOG_SCALE, MAX_OPACITY_LOGIT
        from gscodec.fit.views import choose_views

        if float(np.abs(aside.coded.means).max()) > MAX_COORDINATE:
            raise CannotCodeError(f"positions reach beyond {MAX_COORDINATE:g}")
        self.aside, self.options, self.progress = aside, options, progress
        self.scene, self._clamped = without_infinity(
            aside.coded, MAX_OPACITY_LOGIT, MAX_LOG_SCALE
        )
        progress("views", 0.0)
        self.views = choose_views(self.scene, options.views, options.effort)

    def at(self, lam: float) -> Coded:
        """The file at ``lam``."""
        if self._descends:
            return self._as_good_as_fast(lam)
        return self.coded(*self._chosen(lam), lam)

    def _as_good_as_fast(self, lam: float) -> Coded:
        """Effort high at ``lam``; see `search.likely`."""
        start = likely(lam, self.views)
        work, model = self._chosen(start)

        def finished(tried: float) -> Coded:
            return self._finished(work, shifted(model, tried / start), tried)

        def fast() -> Coded:
            return Encoding(self.aside, self.options.of_fast(), self.progress).at(lam)

        return as_good_as(fast, finished, start, self.views, self.options)

    def at_target(self) -> Coded:
        """The file that has the wanted size or PSNR: the fit is reused while searching."""
        options = self.options
        self._check_depth(options.lam)
        work = self.work(options.lam)
        coded = partial(self.coded, work)
        lam, *_ = self._search(coded, self.fit(work, options.lam), options.lam)
        if self._descends:
            lam = likely(lam, self.views)
        work, model = self._chosen(lam)
        _, found, value = self._search(partial(self._finished, work), model, lam)
        if options.target_psnr is not None:
            require_psnr(value, options.target_psnr)
        return found

    def _search(
        self, code: Callable[[Model, float], Coded], model: Model, fitted: float
    ) -> tuple[float, Coded, float]:
        """Lambda, file, and its bytes or PSNR; ``model`` is learned at ``fitted``."""
        tried: dict[float, tuple[Coded, float]] = {}
        overhead = self._overhead()

        def result(lam: float) -> float:
            coded = code(shifted(model, lam / fitted), lam)
            if self.options.target_psnr is not None:
                found = self.views.psnr(coded.lossy)
            else:
                found = float(sum(len(s.data) for s in coded.payload.streams) + overhead)
            tried[lam] = coded, found
            return found

        best = search(result, fitted, self.options.target_bytes, self.options.target_psnr)
        return best, *tried[best]

    def _overhead(self) -> int:
        """Bytes of a file besides the streams of this method, about."""
        told, extras = self.aside.meta(), self.aside.whole.extras
        size = sum(_ENVELOPE + len(encode_planes(extra.values)) for extra in extras)
        return _OVERHEAD + size + (_ENVELOPE + len(json.dumps(told)) if told else 0)

    @property
    def _descends(self) -> bool:
        """Whether values are found through the renderer."""
        return self.options.effort == "high" and bool(self.views.cameras)

    def _chosen(self, lam: float) -> tuple[Work, Model]:
        """What is coded at ``lam``, and what codes it."""
        self._check_depth(lam)
        if not self._descends:
            work = self.work(lam)
            return work, self.fit(work, lam)
        from gscodec.methods.hac.effort import optimised

        return optimised(self, lam)

    def _finished(self, work: Work, model: Model, lam: float) -> Coded:
        if not self._descends:
            return self.coded(work, model, lam)
        from gscodec.methods.hac.effort import settling

        return self.coded(work, model, lam, settling(self, work, model, lam))

    # --- steps ---------------------------------------------------------------------------

    def price(self, lam: float) -> float:
        """Squared error of a picture that a bit is worth."""
        from gscodec.fit import hac as fit

        return fit.price(lam, len(self.scene))

    def work(self, lam: float) -> Work:
        """The scene as it is."""
        source, _ = self.original
        return self.prepared(self.scene, np.arange(len(self.scene)), source, lam)

    @cached_property
    def original(self) -> tuple[Source, PixelSensitivity]:
        """The scene as it is, `measured`: once, however many lambdas are tried."""
        return self.measured(self.scene)

    def measured(self, scene: GaussianScene) -> tuple[Source, PixelSensitivity]:
        """``scene`` in coded columns, with what each value does to pixels."""
        from gscodec.fit.hac import Source, seen_before

        source, report = Source.of(scene), partial(self.progress, "measure")
        look = seen_before if scene is self.scene else Source.seen
        together = _LEFT_TOGETHER if self._descends else 1.0
        with np.errstate(over="ignore", invalid="ignore"):  # looked for below
            cameras, how = self.views.measuring, self.views.how
            seen = look(source, scene, cameras, how, self.options.seed, report)
            weighed = source.weighed(seen, together)
        if not weighed.weights.largest() < _LARGEST_WEIGHT:  # NaN is not below either
            raise CannotCodeError("values are so large that pictures of them mean nothing")
        return weighed, seen.pixels

    def _check_depth(self, lam: float) -> None:
        """Whether an octree can be deep enough; two levels too few are tolerable, more are not.

        Raises:
            OutlyingError: Not as long as some Gaussians are so far away.
        """
        from gscodec.fit import hac as fit

        source, _ = self.original
        bits = fit.position_bits(source, self.price(lam))
        if bits <= MAX_BITS + _TOLERABLE:
            return
        rows = far_rows(self.scene.means, math.ldexp(source.extent, MAX_BITS - bits))
        few = self.aside.more(self.aside.kept[rows], FAR) is not None
        if few or self.options.position_bits is None:
            message = f"positions need {bits} bits, the lattice has at most {MAX_BITS}"
            raise OutlyingError(rows, FAR, message)

    def prepared(
        self, scene: GaussianScene, index: NDArray[np.int64], source: Source, lam: float
    ) -> Work:
        """In order, on a lattice as fine as ``lam`` asks for."""
        from gscodec.fit import hac as fit

        bits = self.options.position_bits
        if bits is None:
            bits = min(fit.position_bits(source, self.price(lam)), MAX_BITS)
        return Work.of(scene, index, source, bits)

    def fit(self, work: Work, lam: float, share: float = 1.0) -> Model:
        """Learns the context model, in ``share`` of the usual number of iterations."""
        from gscodec.fit import hac as fit

        box = fit.grid_box(work.ijk)
        u = box.normalise(work.ijk)
        learned = fit.learn(
            u,
            position_features(u),
            work.source,
            tuple(group for _, group in groups(work.scene.sh_degree)),
            self.price(lam),
            fit.settings(
                len(u),
                share * self.options.training,
                seed=self.options.seed,
                device=self.options.device,
                threads=self.options.threads,
            ),
            partial(self.progress, "fit"),
        )
        if any(abs(m.mean) > MAX_MEAN for m in learned.groups):
            raise CannotCodeError("a group's values are far from zero and close to each other")
        return Model(learned.grid, box, learned.groups)

    def ideal(self, work: Work, lam: float) -> list[NDArray[np.float64]]:
        """Log2 of the ideal steps of each group."""
        from gscodec.fit import hac as fit

        return fit.ideal_steps(work.source, self.price(lam))

    def block_encoders(self, work: Work, model: Model) -> list[tuple[slice, BlockEncoder]]:
        """One for each block, with its rows."""
        u = model.box.normalise(work.ijk)
        rows = blocks(len(u), self.options.block_size)
        layout = groups(work.scene.sh_degree)
        return [(r, BlockEncoder(model, layout, u[r], work.index[r])) for r in rows]

    def coded(
        self,
        work: Work,
        model: Model,
        lam: float,
        settle: Callable[[Sequence[BlockEncoder]], list[NDArray[np.float64]]] | None = None,
    ) -> Coded:
        """Codes ``work`` under ``model``.

        ``settle`` is called before each group with the encoders of all blocks and gives columns
        for this group and those that follow: they can make up for what coding has changed.
        """
        layout = groups(work.scene.sh_degree)
        ideal = self.ideal(work, lam)
        columns, quats = list(work.source.columns), work.source.quats
        u = model.box.normalise(work.ijk)
        slices = blocks(len(u), self.options.block_size)

        def step(item: tuple[slice, BlockEncoder], number: int) -> None:
            rows, block = item
            turned = quats[rows] if settle is None else None
            wanted = block.wanted([c[rows] for c in columns], turned)
            block.code(wanted, ideal[number][rows], laws=False)

        def whole(rows: slice) -> BlockEncoder:
            block = BlockEncoder(model, layout, u[rows], work.index[rows])
            for number in range(len(layout)):
                step((rows, block), number)
            block.forget()
            return block

        report, threads = partial(self.progress, "code"), self.options.threads
        if settle is None:
            done = in_parallel(whole, slices, threads, report)
        else:
            items = self.block_encoders(work, model)
            done = [block for _, block in items]
            for number in range(len(layout)):
                columns = settle(done)
                in_parallel(partial(step, number=number), items, threads, lambda _: None)
                report((number + 1) / len(layout))
        return self._assembled(work, model, lam, done)

    def _assembled(
        self, work: Work, model: Model, lam: float, done: Sequence[BlockEncoder]
    ) -> Coded:
        """Header, streams and the scene that they decode to."""
        scene, aside, options = self.scene, self.aside, self.options
        parts = [arrays(block.values, model, scene.sh_degree) for block in done]
        coded = replace(joined(work.means, parts), antialiased=scene.antialiased)
        outliers = fields_of(aside.outliers)
        rows = aside.source_rows(work.index)
        decoded = replace(
            with_outliers(coded, outliers),
            has_normals=scene.has_normals,
            origin=scene.origin,
            extras=tuple(ExtraProperty(e.name, e.values[rows]) for e in aside.whole.extras),
        )
        streams = (
            *assembly.streams(model, work.codes, work.lattice.bits, done),
            *assembly.outlier_stream(aside),
        )
        header = assembly.header(
            SceneKind.GAUSSIANS,
            decoded.means,
            work.lattice,
            decoded.digest(),
            block_size=options.block_size,
            sh_degree=scene.sh_degree,
            has_normals=scene.has_normals,
        )
        meta: dict[str, object] = {
            "settings": {
                "lambda": lam,
                "effort": options.effort,
                "position_bits": work.lattice.bits,
                "seed": options.seed,
            },
            "views": self.views.note,
            "position_error": _position_error(scene.means[work.index], coded, scene),
            **aside.meta(),
        }
        look = partial(self.views.psnr_by_view, coded)
        payload = Payload(header, streams, meta)
        return Coded(payload, decoded, self._notes(work), look, len(aside.rows))

    def _notes(self, work: Work) -> tuple[str, ...]:
        pruned = len(self.scene) - len(work.scene)
        return (
            *self.aside.notes(),
            *self._clamped,
            *([f"pruned {pruned} of {len(self.scene)} Gaussians"] if pruned else ()),
            f"reordered {len(work.scene)} Gaussians along the Morton curve",
            *self.views.notes,
            *work.source.notes,
            *_duplicates(work.codes),
        )


def _position_error(
    means: NDArray[np.float32], decoded: GaussianScene, scene: GaussianScene
) -> dict[str, float]:
    """Largest and RMS distance, in scene units and in median Gaussian scales.

    Of positions that were doubles, with what float32 may have cost them.
    """
    offset = decoded.means.astype(np.float64) - means
    distance = np.sqrt((offset**2).sum(axis=1))
    scale = float(np.exp(np.median(scene.log_scales.astype(np.float64))))
    distance += scene.most_rounding
    largest, rms = float(distance.max()), float(np.sqrt((distance**2).mean()))
    return {
        "max": largest,
        "rms": rms,
        "max_over_median_scale": largest / scale,
        "rms_over_median_scale": rms / scale,
    }


def _duplicates(codes: NDArray[np.uint64]) -> Iterable[str]:
    """A note about Gaussians that share a lattice cell; they are kept."""
    _, counts = np.unique(codes, return_counts=True)
    shared = int(counts[counts > 1].sum())
    if shared:
        yield f"{shared} Gaussians share a lattice cell with another (all are kept)"
