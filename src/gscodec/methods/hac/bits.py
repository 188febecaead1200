"""Bytes to bits per primitive: decodes a file, and counts instead of making a scene."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from gscodec.bitmap import BitMap
from gscodec.coding import decision_bits, residual_bits
from gscodec.methods.hac.decoder import open_payload
from gscodec.methods.hac.layout import in_parallel
from gscodec.methods.hac.outliers import outlier_count
from gscodec.payload import Attribute
from gscodec.threads import one_blas_thread

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.methods import Progress
    from gscodec.methods.hac.decoder import DecodedGroup, Opened
    from gscodec.payload import Payload


def spent(payload: Payload, progress: Progress, threads: int | None = None) -> BitMap:
    """The ideal cost of each primitive under the tables that code it.

    Positions share their stream evenly: an octree codes them together. Streams are a little
    longer than the sum, by what the range coder needs to end.

    Raises:
        FormatError: Streams are missing or inconsistent.
    """
    with one_blas_thread():
        opened = open_payload(payload, progress)

    def block(number: int) -> dict[Attribute, NDArray[np.float32]]:
        bits: dict[Attribute, NDArray[np.float32]] = {}
        for group in opened.block(number):
            others = bits.get(group.attribute, np.float32(0))
            bits[group.attribute] = others + _bits(group)
        return bits

    numbers = range(len(opened.slices))
    parts = in_parallel(block, numbers, opened.threads(threads), partial(progress, "decode"))
    bits = {a: np.concatenate([part[a] for part in parts]) for a in parts[0]}
    whole = {a: 8.0 * len(data) for (a, _), data in opened.streams.items() if a not in bits}
    count = len(opened.positions)
    each = np.full(count, whole.pop(Attribute.POSITION) / count, dtype=np.float32)
    bits = {Attribute.POSITION: each, **bits}
    positions = opened.positions
    if opened.outliers:
        positions, bits = _with_outliers(opened, bits, whole.pop(Attribute.OUTLIER))
    return BitMap(payload.header.kind, positions, bits, shared=whole)


def _with_outliers(
    opened: Opened, bits: dict[Attribute, NDArray[np.float32]], size: float
) -> tuple[NDArray[np.float32], dict[Attribute, NDArray[np.float32]]]:
    """Positions and ``bits`` with the outliers, whose rows are alike and of ``size`` bits in all."""
    count, rows = len(opened.positions), outlier_count(opened.outliers)
    exact = np.zeros(count + rows, dtype=np.float32)
    exact[count:] = size / rows
    longer = {a: np.pad(each, (0, rows)) for a, each in bits.items()}
    theirs = next(iter(opened.outliers.values())).astype(np.float32)
    positions = np.concatenate([opened.positions, theirs])
    return positions, {**longer, Attribute.OUTLIER: exact}


def _bits(group: DecodedGroup) -> NDArray[np.float32]:
    """What each row of ``group`` takes, (rows,) float32; what is not coded takes nothing."""
    bits = np.zeros(group.residuals.shape, dtype=np.float32)
    coded = np.ones(bits.shape, dtype=np.bool_) if group.present is None else group.present
    values, levels = group.residuals[coded], group.levels[coded]
    if group.family is None:
        bits[coded] = decision_bits(values, levels)
    else:
        bits[coded] = residual_bits(values, levels, group.family)
    rows: NDArray[np.float32] = bits.sum(axis=1)
    return rows
