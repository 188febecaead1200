"""How far each attribute of an anchor scene is off, over anchors that were paired."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gscodec.comparison.attributes import deviation
from gscodec.comparison.matching import Matching, match_anchors, typical_spacing
from gscodec.report.compare_result import AttributeErrors, Deviation, MatchedBy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gscodec.anchors import AnchorScene


def anchor_errors(a: AnchorScene, b: AnchorScene) -> AttributeErrors:
    """Pairs two scenes of finite values and measures ``b`` against ``a``, anchor by anchor."""
    in_order = _in_order(a, b)
    order = np.arange(len(a))
    pairs = Matching(order, order) if in_order else match_anchors(a, b)
    errors = tuple(_errors(a.take(pairs.a), b.take(pairs.b))) if len(pairs) else ()
    unmatched = (len(a) - len(pairs), len(b) - len(pairs))
    by = MatchedBy.ORDER if in_order else MatchedBy.LIKENESS
    return AttributeErrors(len(pairs), *unmatched, errors, by)


def _in_order(a: AnchorScene, b: AnchorScene) -> bool:
    """Whether each anchor of ``b`` is about where that of the same number is in ``a``."""
    if len(a) != len(b):
        return False
    if not len(a):
        return True
    places = a.anchors.astype(np.float64)
    moved = np.linalg.norm(b.anchors - places, axis=1)
    return bool(np.median(moved) < typical_spacing(places) / 2)


def _errors(a: AnchorScene, b: AnchorScene) -> Iterator[Deviation]:
    """``a`` and ``b`` hold the pairs in the same order; what they lack in common is left out."""
    distances = np.linalg.norm(b.anchors.astype(np.float64) - a.anchors, axis=1)
    yield deviation("position", "scene units", distances)
    if a.feature_width == b.feature_width:
        yield deviation("feature", "coefficient", b.features.astype(np.float64) - a.features)
    scalings = b.log_scalings.astype(np.float64) - a.log_scalings
    yield deviation("scaling", "natural log", scalings)
    if a.offset_count == b.offset_count:
        there = np.ones(a.offsets.shape[:2], np.bool_)
        for masks in (a.masks, b.masks):
            there &= True if masks is None else masks
        if there.any():
            offsets = (b.offsets.astype(np.float64) - a.offsets)[there]
            yield deviation("offset", "the anchor's scaling", offsets)
        if a.masks is not None and b.masks is not None:
            yield deviation("mask", "0 or 1", b.masks.astype(np.float64) - a.masks)
    weights = list(zip(a.networks.arrays(), b.networks.arrays(), strict=False))
    if all(x.shape == y.shape for x, y in weights):
        changes = np.concatenate([(y.astype(np.float64) - x).ravel() for x, y in weights])
        yield deviation("networks", "weight", changes)
