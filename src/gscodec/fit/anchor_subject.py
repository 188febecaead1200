"""What a run of the encoder does with anchors: measures, prunes, draws and reports them.

Rendering networks are coded last: they make up for what coding changed before.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, cast

import numpy as np

from gscodec.errors import CannotCodeError, UsageError
from gscodec.fit import anchors as fit
from gscodec.fit.anchors import AnchorSource
from gscodec.fit.subject import Manner, Subject, Work, pruned_note, reordered_note
from gscodec.geometry import MAX_BITS, Lattice, morton
from gscodec.geometry.voxels import find_voxels
from gscodec.kinds import Anchors
from gscodec.kinds.anchors import chunks
from gscodec.kinds.aside import FAR, OutlyingError, far_rows
from gscodec.kinds.blueprint import Blueprint, round_networks
from gscodec.notes import Note
from gscodec.payload import Attribute

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gscodec.anchors import AnchorScene, Scene
    from gscodec.fit.anchor_pixels import AnchorSensitivity
    from gscodec.fit.drawing import Moving
    from gscodec.fit.options import Options
    from gscodec.fit.subject import Asked, Columns
    from gscodec.kinds.aside import Aside
    from gscodec.units import Expected

_CELLS_PER_SCALING = 8  # at least
_QUANTISED_BITS = 16  # of positions that are on no lattice, as HAC codes them
_LARGEST = 1e18  # squares must stay finite
_APPEARANCE_EXPONENT = 12  # of the step of embeddings, whose values are about 1
_VOXEL = re.compile(r"\bvoxel_size=([0-9.eE+-]+)")


class AnchorSubject(Subject):
    """See `fit.subject.Subject`."""

    scene: AnchorScene
    kind: Anchors
    noun = "anchors"
    manner = Manner(1.0, 1.0, 0.1, 0.2)

    def __init__(self, aside: Aside, options: Options) -> None:
        super().__init__()
        if options.merge_voxels:
            raise UsageError("merge voxels: for Gaussians only; all anchors are kept")
        self.scene = scene = cast("AnchorScene", aside.coded)
        for name, array in scene.attributes().items():
            if float(np.abs(array).max()) > _LARGEST:
                raise CannotCodeError(f"{name} reach beyond {_LARGEST:g}")
        self.kind = Anchors(Blueprint.of(scene))
        self._lattice = self._lattice_of(aside, options.position_bits)

    def price(self, lam: float) -> float:
        """Squared error of a picture that a bit is worth."""
        return fit.price(lam, self.scene)

    def _lattice_of(self, aside: Aside, wanted: int | None) -> Lattice:
        """The voxels of the scene if it has some, else as HAC does."""
        declared = _VOXEL.search(self.scene.description)
        try:
            edge = float(declared[1]) if declared else None
        except ValueError:
            edge = None
        bits = self._fine_bits()
        if bits > MAX_BITS:
            far = self._too_far(bits)
            if aside.more(aside.kept[far.rows], FAR) is not None:
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

    def measure(self, run: Asked, scene: Scene) -> AnchorSensitivity:
        """In pictures from many directions."""
        from gscodec.fit import anchor_pixels
        from gscodec.fit.devices import on_device

        return anchor_pixels.measure(
            cast("AnchorScene", scene),
            run.views.measuring,
            run.views.how,
            probes=1,
            seed=run.options.seed,
            device=on_device(run.options.device),
            progress=partial(run.progress, "measure"),
        )

    def prepared(
        self, run: Asked, scene: Scene, index: NDArray[np.int64], lam: float, *, prune: bool
    ) -> Work:
        """On the lattice of all anchors."""
        anchors, price = cast("AnchorScene", scene), self.price(lam)
        shown = self.measured(run, anchors)
        if prune:
            kept = np.flatnonzero(fit.needed_anchors(anchors, shown, price))
            if len(kept):
                anchors, index, shown = anchors.take(kept), index[kept], shown.take(kept)
        codes = morton.encode(self._lattice.quantize(anchors.anchors))
        order = np.argsort(codes, kind="stable")
        anchors = anchors.take(order)
        source = AnchorSource.of(anchors, shown.take(order), price, lam)
        return Work(anchors, index[order], source, self._lattice, codes[order])

    def drawing(self, run: Asked, work: Work) -> Moving:
        """At positions as they will be decoded, absent offsets at zero."""
        from gscodec.fit.devices import on_device
        from gscodec.fit.drawing import AnchorDrawing

        scene = cast("AnchorScene", work.scene)
        present = cast("AnchorSource", work.source).present
        placed = replace(
            scene,
            anchors=work.positions,
            offsets=scene.offsets * present[:, :, None],
            masks=None if scene.masks is None else present,
        )
        return AnchorDrawing(
            placed,
            len(chunks(scene.feature_width)),
            run.views.cameras,
            run.views.how,
            on_device(run.options.device),
        )

    def laws(self, found: list[Expected]) -> list[Expected]:
        """Errors of the scalings of offsets do not show: offsets make up for them."""
        *features, scalings, offsets = found
        return [*features, replace(scalings, made_up_for=(0, 1, 2)), offsets]

    def moved(self, work: Work, columns: Columns, drawing: Moving) -> Scene:
        """With the networks that were optimised too."""
        scene = self.with_free(work.scene, drawing.state())
        return fit.with_columns(scene, columns[1:])

    def free(self, scene: Scene) -> list[NDArray[np.float32]]:
        """The networks, but for the embedding of cameras."""
        networks = cast("AnchorScene", scene).networks
        arrays = list(networks.arrays())
        return arrays if networks.appearance is None else arrays[:-1]

    def with_free(self, scene: Scene, arrays: Sequence[NDArray[np.float32]]) -> AnchorScene:
        """With these networks."""
        anchors = cast("AnchorScene", scene)
        return replace(anchors, networks=anchors.networks.with_weights(arrays))

    def streams(self, scene: Scene, work: Work, lam: float) -> dict[Attribute, bytes]:
        """Networks, as coarse as they may be, and the blueprint."""
        networks, weights = cast("AnchorScene", scene).networks, work.source
        exponents = fit.network_exponents(
            cast("AnchorSource", weights).weights, self.price(lam)
        )
        if networks.appearance is not None:
            exponents.append(_APPEARANCE_EXPONENT)  # nobody measures what it shows
        rounded = round_networks(networks, exponents)
        return {
            Attribute.RENDERING: rounded.encode(),
            Attribute.CHECKPOINT: self.kind.blueprint.encode(),
        }

    def report(self, run: Asked, work: Work, decoded: Scene) -> dict[str, object]:  # noqa: ARG002
        """Widths, and how far positions move, in scene units."""
        before = self.scene.anchors[work.index]
        offset = cast("AnchorScene", decoded).anchors.astype(np.float64) - before
        distance = np.sqrt((offset**2).sum(axis=1))
        return {
            "anchors": {
                "features": self.scene.feature_width,
                "offsets": self.scene.offset_count,
                "offsets_coded": int(cast("AnchorSource", work.source).present.sum()),
            },
            "position_error": {
                "max": float(distance.max()),
                "rms": float(np.sqrt((distance**2).mean())),
            },
        }

    def told(self, run: Asked, work: Work) -> tuple[str, ...]:
        """Notes."""
        pruned = len(self.scene) - len(work.scene)
        before = self.scene.take(work.index)
        there = (before.offsets != 0).any(axis=2) if before.masks is None else before.masks
        lost = int((there & ~cast("AnchorSource", work.source).present).sum())
        what = "set to zero the offsets" if before.masks is None else "masked"
        told = f"{what} of {lost} Gaussians that are not drawn"
        return (
            *run.views.notes,
            *pruned_note(pruned, len(self.scene), "anchors"),
            *([Note(told, "masked", gaussians=lost)] if lost else ()),
            reordered_note(len(work.scene), "anchors"),
        )
