"""Anchors to streams: measure, prune, learn the model, code; values through the renderer if asked.

`AnchorWork` is a scene with all that does not depend on the model, as `encoder.Work` is for
Gaussians. Rendering networks are coded last: they make up for what coding changed before.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from gscodec.blueprint import Blueprint, check_weights, round_networks
from gscodec.errors import CannotCodeError, SceneError, UsageError
from gscodec.geometry import MAX_BITS, Lattice, morton
from gscodec.geometry.voxels import find_voxels
from gscodec.intnet.context import MAX_MEAN
from gscodec.methods import Coded, Progress
from gscodec.methods.hac import assembly
from gscodec.methods.hac.anchors import anchor_arrays, anchor_groups, chunks, joined_anchors
from gscodec.methods.hac.aside import FAR, OutlyingError, anchor_rules, apart, far_rows
from gscodec.methods.hac.blocks import BlockEncoder
from gscodec.methods.hac.finite import check_finite
from gscodec.methods.hac.layout import Model, blocks, in_parallel, position_features
from gscodec.methods.hac.outliers import fields_of, with_outliers
from gscodec.methods.hac.search import as_good_as, likely, shifted
from gscodec.payload import Attribute, Payload, SceneKind, Stream
from gscodec.scene import ExtraProperty

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from gscodec.anchors import AnchorScene, RenderingNetworks
    from gscodec.fit.anchor_pixels import AnchorSensitivity
    from gscodec.fit.anchors import AnchorSource
    from gscodec.methods.hac.aside import Aside
    from gscodec.methods.hac.options import Options

    Columns = list[NDArray[np.float64]]

_CELLS_PER_SCALING = 8  # at least
_QUANTISED_BITS = 16  # of positions that are on no lattice, as HAC codes them
_LARGEST = 1e18  # squares must stay finite
_APPEARANCE_EXPONENT = 12  # of the step of embeddings, whose values are about 1
_GAUSSIANS_ONLY = {
    "target_bytes": "target size",
    "target_psnr": "target PSNR",
    "resume": "resume",
    "checkpoint": "checkpoint",
}
_VOXEL = re.compile(r"\bvoxel_size=([0-9.eE+-]+)")


@dataclass(frozen=True)
class AnchorWork:
    """An anchor scene that is ready to be modelled, in Morton order.

    Attributes:
        scene: The values that are wanted, networks among them.
        index: (N,) int64, which anchor of the original scene each one is.
        source: The scene in coded columns.
        weights: Of the rendering networks: see `AnchorSensitivity.networks`.
        lattice: Of the positions.
        ijk: (N, 3) int64 lattice positions.
        codes: (N,) uint64 Morton codes, ascending.
    """

    scene: AnchorScene
    index: NDArray[np.int64]
    source: AnchorSource
    weights: tuple[float, ...]
    lattice: Lattice
    ijk: NDArray[np.int64]
    codes: NDArray[np.uint64]

    def at(self, ratio: float) -> AnchorWork:
        """The same for ``ratio`` times the lambda: coarser steps."""
        ideal = tuple(s + 0.5 * math.log2(ratio) for s in self.source.log2_ideal)
        return replace(self, source=replace(self.source, log2_ideal=ideal))

    @property
    def placed(self) -> AnchorScene:
        """The scene with positions as they will be decoded, and absent offsets zero."""
        present = self.source.present
        return replace(
            self.scene,
            anchors=self.lattice.positions(self.ijk),
            offsets=self.scene.offsets * present[:, :, None],
            masks=None if self.scene.masks is None else present,
        )


def encode_anchors(scene: AnchorScene, options: Options, progress: Progress) -> Coded:
    """Fits the context model to ``scene`` and codes it.

    Raises:
        CannotCodeError: The integers cannot hold some value; method raw can.
        SceneError: The scene holds NaN or infinity.
        UsageError: An option that only Gaussians have.
    """
    for name, words in _GAUSSIANS_ONLY.items():
        if getattr(options, name) is not None:
            raise UsageError(f"{words}: a scene of anchors does not have it yet")
    if not len(scene):
        raise CannotCodeError("the scene is empty")
    check_finite(scene, "anchors")
    if not all(np.isfinite(array).all() for array in scene.networks.arrays()):
        raise SceneError("networks: a weight is NaN or infinity, expected finite numbers")
    check_weights(scene.networks)

    def encode(aside: Aside[AnchorScene]) -> Coded:
        for name, array in aside.coded.attributes().items():
            if float(np.abs(array).max()) > _LARGEST:
                raise CannotCodeError(f"{name} reach beyond {_LARGEST:g}")
        return AnchorEncoding(aside, options, progress).at(options.lam)

    return apart(scene, "anchors", anchor_rules, encode)


def decoded(done: Sequence[BlockEncoder]) -> NDArray[np.float64]:
    """What the group that was coded last decodes to, all blocks: (N, columns)."""
    return np.concatenate([block.decoded() for block in done])


class AnchorEncoding:
    """One run of the encoder: what the steps share.

    Attributes:
        aside: The scene, and what of it is kept exactly.
        scene: What is coded of it.
        options: What is wanted.
        progress: Hears how far the work is.
        blueprint: Of the checkpoint.
        chunks: Columns of each group of features.
        layout: The groups in coding order.
        lattice: Of the positions.
        views: What the encoder looks at.
    """

    def __init__(self, aside: Aside[AnchorScene], options: Options, progress: Progress) -> None:
        from gscodec.fit.views import choose_views

        scene = aside.coded
        self.aside, self.scene = aside, scene
        self.options, self.progress = options, progress
        self.blueprint = Blueprint.of(scene)
        self.chunks = chunks(scene.feature_width)
        self.layout = anchor_groups(scene.feature_width, scene.offset_count)
        self.lattice = self._lattice()
        progress("views", 0.0)
        self.views = choose_views(scene, options.views, options.effort)

    def at(self, lam: float) -> Coded:
        """The file at ``lam``."""
        if self.options.effort == "high" and self.views.cameras:
            return self._as_good_as_fast(lam)
        work = self.prepared(self.scene, np.arange(len(self.scene)), lam, prune=True)
        return self.coded(work, self.fit(work), lam)

    def _as_good_as_fast(self, lam: float) -> Coded:
        """Effort high at ``lam``; see `search.likely`."""
        from gscodec.methods.hac.anchor_effort import Settling, optimised

        start = likely(lam, self.views)
        work = optimised(self, start)
        model = self.fit(work)

        def finished(tried: float) -> Coded:
            moved, priced = shifted(model, tried / start), work.at(tried / start)
            settle = Settling(self, priced, moved, tried)
            return self.coded(priced, moved, tried, settle.columns, settle.networks)

        def fast() -> Coded:
            return AnchorEncoding(self.aside, self.options.of_fast(), self.progress).at(lam)

        return as_good_as(fast, finished, start, self.views, self.options)

    # --- steps ---------------------------------------------------------------------------

    def price(self, lam: float) -> float:
        """Squared error of a picture that a bit is worth."""
        from gscodec.fit import anchors as fit

        return fit.price(lam, self.scene)

    def _lattice(self) -> Lattice:
        """The voxels of the scene if it has some, else as HAC does."""
        declared = _VOXEL.search(self.scene.description)
        try:
            edge = float(declared[1]) if declared else None
        except ValueError:
            edge = None
        wanted, bits = self.options.position_bits, self._fine_bits()
        if bits > MAX_BITS:
            far = self._too_far(bits)
            if self.aside.more(self.aside.kept[far.rows], FAR) is not None:
                raise far
        found = find_voxels(self.scene.anchors, edge) if wanted is None else None
        if found is None and wanted is None and bits > MAX_BITS:
            raise self._too_far(bits)
        return found or Lattice.covering(self.scene.anchors, wanted or bits)

    def _too_far(self, bits: int) -> OutlyingError:
        """Names the anchors without which a lattice as deep as can be would do."""
        edge = math.ldexp(self._extent(), MAX_BITS - bits)
        message = f"positions need {bits} bits, the lattice has at most {MAX_BITS}"
        return OutlyingError(far_rows(self.scene.anchors, edge), FAR, message)

    def _extent(self) -> float:
        return float(np.ptp(self.scene.anchors.astype(np.float64), axis=0).max())

    def _fine_bits(self) -> int:
        """Of positions on no lattice: those of HAC, or more where the scene has far outliers."""
        scaling = float(np.median(self.scene.log_scalings.astype(np.float64))) / math.log(2)
        cells = max(_CELLS_PER_SCALING * self._extent(), 1e-300)
        return max(math.ceil(math.log2(cells) - scaling), _QUANTISED_BITS)

    def measured(self, scene: AnchorScene) -> AnchorSensitivity:
        """What each value of ``scene`` does to pixels."""
        from gscodec.fit import anchor_pixels
        from gscodec.fit.hac import on_device

        return anchor_pixels.measure(
            scene,
            self.views.measuring,
            self.views.how,
            probes=1,
            seed=self.options.seed,
            device=on_device(self.options.device),
            progress=partial(self.progress, "measure"),
        )

    def prepared(
        self, scene: AnchorScene, index: NDArray[np.int64], lam: float, *, prune: bool
    ) -> AnchorWork:
        """Measured, without anchors that are not worth their bits, in order."""
        from gscodec.fit import anchors as fit

        shown, price = self.measured(scene), self.price(lam)
        if prune:
            kept = np.flatnonzero(fit.needed_anchors(scene, shown, price))
            if len(kept):
                scene, index, shown = scene.take(kept), index[kept], shown.take(kept)
        ijk = self.lattice.quantize(scene.anchors)
        codes = morton.encode(ijk)
        order = np.argsort(codes, kind="stable")
        scene, shown = scene.take(order), shown.take(order)
        source = fit.AnchorSource(
            fit.columns_of(scene, self.chunks),
            fit.present_offsets(scene),
            fit.ideal_steps(scene, shown, self.chunks, price),
        )
        return AnchorWork(
            scene, index[order], source, shown.networks, self.lattice, ijk[order], codes[order]
        )

    def fit(self, work: AnchorWork, share: float = 1.0) -> Model:
        """Learns the context model, in ``share`` of the usual number of iterations."""
        from gscodec.fit import anchors as anchor_fit
        from gscodec.fit import hac as fit

        box = fit.grid_box(work.ijk)
        u = box.normalise(work.ijk)
        learned = anchor_fit.learn(
            u,
            position_features(u),
            work.source,
            tuple(group for _, group in self.layout),
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
        return Model(learned.grid, box, learned.groups, learned.decisions)

    def block_encoders(
        self, work: AnchorWork, model: Model
    ) -> list[tuple[slice, BlockEncoder]]:
        """One for each block, with its rows."""
        u = model.box.normalise(work.ijk)
        return [
            (r, BlockEncoder(model, self.layout, u[r], work.index[r], work.source.present[r]))
            for r in blocks(len(u), self.options.block_size)
        ]

    def coded(
        self,
        work: AnchorWork,
        model: Model,
        lam: float,
        settle: Callable[[Sequence[BlockEncoder], Columns], Columns] | None = None,
        last: Callable[[], RenderingNetworks] | None = None,
    ) -> Coded:
        """Codes ``work`` under ``model``.

        ``settle`` is called after each group with the encoders of all blocks and the columns,
        and gives columns for the groups that follow; ``last`` gives the networks when all groups are coded.
        """
        from gscodec.fit import anchors as fit

        columns = list(work.source.columns)
        items = self.block_encoders(work, model)
        done = [block for _, block in items]

        def step(item: tuple[slice, BlockEncoder], number: int) -> None:
            rows, block = item
            wanted = block.wanted([c[rows] for c in columns], None)
            block.code(wanted, work.source.log2_ideal[number][rows], laws=False)

        for number in range(len(self.layout)):
            one = partial(step, number=number)
            in_parallel(one, items, self.options.threads, lambda _: None)
            if self.layout[number][0] is Attribute.SCALING:
                columns = fit.make_up_for_scalings(columns, decoded(done))
            if settle is not None:
                columns = settle(done, columns)
            self.progress("code", (number + 1) / len(self.layout))
        networks = work.scene.networks if last is None else last()
        return self._assembled(work, model, lam, done, networks)

    def _assembled(
        self,
        work: AnchorWork,
        model: Model,
        lam: float,
        done: Sequence[BlockEncoder],
        networks: RenderingNetworks,
    ) -> Coded:
        """Header, streams and the scene that they decode to."""
        from gscodec.fit import anchors as fit

        exponents = fit.network_exponents(work.weights, self.price(lam))
        if networks.appearance is not None:
            exponents.append(_APPEARANCE_EXPONENT)  # nobody measures what it shows
        rounded = round_networks(networks, exponents)
        present = [
            work.source.present[rows] for rows in blocks(len(work.ijk), self.options.block_size)
        ]
        parts = [
            anchor_arrays([masks.astype(np.int64), *block.values], model)
            for masks, block in zip(present, done, strict=True)
        ]
        decoded = joined_anchors(
            work.lattice.positions(work.ijk),
            parts,
            self.blueprint,
            self.blueprint.networks(rounded.floats()),
        )
        error = self._position_error(work, decoded)
        look = partial(self.views.psnr_by_view, decoded)
        aside, rows = self.aside, self.aside.source_rows(work.index)
        outliers = fields_of(aside.outliers)
        extras = tuple(ExtraProperty(e.name, e.values[rows]) for e in aside.whole.extras)
        decoded = replace(with_outliers(decoded, outliers), extras=extras)
        streams = (
            *assembly.streams(model, work.codes, work.lattice.bits, done),
            *assembly.outlier_stream(aside),
            Stream(Attribute.RENDERING, 0, rounded.encode()),
            Stream(Attribute.CHECKPOINT, 0, self.blueprint.encode()),
        )
        header = assembly.header(
            SceneKind.ANCHORS,
            decoded.anchors,
            work.lattice,
            decoded.digest(),
            block_size=self.options.block_size,
        )
        meta: dict[str, object] = {
            "settings": {
                "lambda": lam,
                "effort": self.options.effort,
                "position_bits": work.lattice.bits,
                "seed": self.options.seed,
            },
            "views": self.views.note,
            "anchors": {
                "features": self.scene.feature_width,
                "offsets": self.scene.offset_count,
                "offsets_coded": int(work.source.present.sum()),
            },
            "position_error": error,
            **aside.meta(),
        }
        payload = Payload(header, streams, meta)
        return Coded(payload, decoded, self._notes(work), look, len(aside.rows))

    def _position_error(self, work: AnchorWork, decoded: AnchorScene) -> dict[str, float]:
        """Largest and RMS distance, in scene units."""
        offset = decoded.anchors.astype(np.float64) - self.scene.anchors[work.index]
        distance = np.sqrt((offset**2).sum(axis=1))
        return {"max": float(distance.max()), "rms": float(np.sqrt((distance**2).mean()))}

    def _notes(self, work: AnchorWork) -> tuple[str, ...]:
        pruned = len(self.scene) - len(work.scene)
        before = self.scene.take(work.index)
        there = (before.offsets != 0).any(axis=2) if before.masks is None else before.masks
        lost = int((there & ~work.source.present).sum())
        what = "set to zero the offsets" if before.masks is None else "masked"
        return (
            *self.aside.notes(),
            *self.views.notes,
            *([f"pruned {pruned} of {len(self.scene)} anchors"] if pruned else ()),
            *([f"{what} of {lost} Gaussians that are not drawn"] if lost else ()),
            f"reordered {len(work.scene)} anchors along the Morton curve",
        )
