"""What the .ply of HAC and HAC++ means, in its two variants.

While training, scalings are logarithms and masks are logits, as in Scaffold-GS. The last
iteration is saved after the scene was encoded and decoded: scalings are then linear, masks are
0 or 1, and rows of zeros stand at the end for anchors that were not coded
(YihangChen-ee/HAC-plus, issue 2).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from gscodec.errors import SceneError
from gscodec.notes import Note
from gscodec.scene import ExtraProperty

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.checkpointio.vertices import Vertices

Scaling: TypeAlias = Literal["auto", "log", "linear"]

# A Gaussian exists where sigmoid(logit) > 0.01.
LEAST_MASK_LOGIT = float(np.log(0.01 / 0.99))
_LOG_OF_ZERO = np.float32(-104)  # the exponential of it is 0 in float32


@dataclass(frozen=True)
class Parameters:
    """Vertices in the space of `AnchorScene`.

    Attributes:
        vertices: Those that were coded; of these, scalings and masks are below instead.
        log_scalings: (N, 6) float32
        masks: (N, K) bool, or None.
        notes: What was changed.
    """

    vertices: Vertices
    log_scalings: NDArray[np.float32]
    masks: NDArray[np.bool_] | None
    notes: tuple[str, ...]


def interpret(vertices: Vertices, scaling: Scaling, name: str) -> Parameters:
    """Tells the variants apart, or takes the caller's word.

    Args:
        vertices: As read.
        scaling: In which space scalings are; "auto": as the values suggest.
        name: The file's name, for errors.

    Raises:
        SceneError: ``scaling`` is "linear" and there are negative values.
    """
    coded = _without_padding(vertices)
    decoded = _binary(coded) and bool((coded.scalings >= 0).all() and coded.scalings.any())
    if scaling == "linear" or (scaling == "auto" and decoded):
        return _decoded(vertices, coded, name)
    masks = None if vertices.masks is None else vertices.masks > LEAST_MASK_LOGIT
    return Parameters(vertices, vertices.scalings, masks, ())


def _decoded(vertices: Vertices, coded: Vertices, name: str) -> Parameters:
    """The variant that was encoded and decoded before it was saved."""
    linear = coded.scalings
    if (linear < 0).any():
        raise SceneError(
            f"{name}: found {np.count_nonzero(linear < 0)} negative values of scale_*, expected "
            "none in linear scalings; they are logarithms"
        )
    zeros = linear == 0
    log_scalings = np.where(zeros, _LOG_OF_ZERO, np.log(np.where(zeros, 1, linear)))
    least = 0.5 if _binary(coded) else LEAST_MASK_LOGIT
    masks = None if coded.masks is None else coded.masks > least
    padding = len(vertices.anchors) - len(coded.anchors)
    told = "scalings are linear (saved after decoding); took their logarithm"
    notes = [Note(told, "scalings-made-logarithms")]
    if zeros.any():
        count = int(np.count_nonzero(zeros))
        told = f"{count} scalings of 0 became {_LOG_OF_ZERO:.0f}"
        notes.append(Note(told, "clamped", values=count))
    if padding:
        told = f"dropped {padding} rows of zeros at the end"
        notes.append(Note(told, "padding-dropped", anchors=padding))
    return Parameters(coded, log_scalings.astype(np.float32), masks, tuple(notes))


def _binary(vertices: Vertices) -> bool:
    masks = vertices.masks
    return masks is not None and bool(((masks == 0) | (masks == 1)).all())


def _without_padding(vertices: Vertices) -> Vertices:
    """Without the rows at the end in which every value is 0."""
    n = len(vertices.anchors)
    used = np.zeros(n, np.bool_)
    fields = ("anchors", "offsets", "masks", "features", "scalings")
    arrays = {f: a for f in fields if (a := getattr(vertices, f)) is not None}
    for array in arrays.values():
        used |= array.any(axis=tuple(range(1, array.ndim)))
    end = int(np.flatnonzero(used)[-1]) + 1 if used.any() else 0
    return replace(
        vertices,
        **{f: array[:end] for f, array in arrays.items()},
        extras=tuple(ExtraProperty(e.name, e.values[:end]) for e in vertices.extras),
    )
