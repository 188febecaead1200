"""What both directions share for anchors: groups in coding order, integers to fields.

Masks are coded first, then features in chunks of which each sees those before it (HAC++), then
scalings, then those offsets that are there, ``attributes`` as HEMGS conditions them on features.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gscodec.anchors import SCALINGS
from gscodec.blueprint import assembled
from gscodec.intnet.context import Group
from gscodec.methods.hac.layout import floats
from gscodec.payload import Attribute

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gscodec.anchors import AnchorScene, RenderingNetworks
    from gscodec.blueprint import Blueprint
    from gscodec.methods.hac.layout import Model

_CHUNK = 10  # features at most


def chunks(features: int) -> list[slice]:
    """Columns of each chunk of ``features``: of nearly equal widths, wider ones first."""
    count = -(-features // _CHUNK)
    ends = np.cumsum([(features + count - 1 - n) // count for n in range(count)]).tolist()
    return [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]


def anchor_groups(features: int, offsets: int) -> tuple[tuple[Attribute, Group], ...]:
    """The groups after the masks: every column has a step of its own, an offset has one."""
    widths = [part.stop - part.start for part in chunks(features)]
    return (
        *((Attribute.FEATURE, _group(tuple(range(width)))) for width in widths),
        (Attribute.SCALING, _group(tuple(range(SCALINGS)))),
        (Attribute.OFFSET, _group(tuple(n // 3 for n in range(3 * offsets)))),
    )


def _group(step_of: tuple[int, ...]) -> Group:
    return Group(len(step_of), step_of, (0,) * len(step_of), fine=False)


def offset_columns(present: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which columns of the offsets (M, 3 K) are coded, from ``present`` (M, K)."""
    return np.repeat(present, 3, axis=1)


def anchor_arrays(
    values: Sequence[NDArray[np.int64]], model: Model
) -> dict[str, NDArray[np.float32]]:
    """The fields of an anchor scene that integers ``values`` of some rows stand for.

    The first are the masks; "masks" holds them as floats.
    """
    masks, *rest = values
    real = [floats(v, m).astype(np.float32) for v, m in zip(rest, model.groups, strict=True)]
    return {
        "features": np.concatenate(real[:-2], axis=1),
        "log_scalings": real[-2],
        "offsets": real[-1].reshape(len(real[-1]), -1, 3),
        "masks": masks.astype(np.float32),
    }


def empty_anchor_arrays(count: int, blueprint: Blueprint) -> dict[str, NDArray[np.float32]]:
    """As `anchor_arrays` gives them for ``count`` anchors, to be filled block by block."""
    shapes: dict[str, tuple[int, ...]] = {
        "features": (count, blueprint.features),
        "log_scalings": (count, SCALINGS),
        "offsets": (count, blueprint.offsets, 3),
        "masks": (count, blueprint.offsets),
    }
    return {name: np.empty(shape, np.float32) for name, shape in shapes.items()}


def anchor_columns(fields: dict[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    """Views of some rows of ``fields``, one for each group in coding order, masks first."""
    features, offsets = fields["features"], fields["offsets"]
    return [
        fields["masks"],
        *(features[:, columns] for columns in chunks(features.shape[1])),
        fields["log_scalings"],
        offsets.reshape(len(offsets), -1),
    ]


def joined_anchors(
    anchors: NDArray[np.float32],
    parts: Sequence[dict[str, NDArray[np.float32]]],
    blueprint: Blueprint,
    networks: RenderingNetworks,
) -> AnchorScene:
    """The scene of ``anchors`` and the arrays of its blocks."""
    fields = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return anchor_scene(anchors, fields, blueprint, networks)


def anchor_scene(
    anchors: NDArray[np.float32],
    fields: dict[str, NDArray[np.float32]],
    blueprint: Blueprint,
    networks: RenderingNetworks,
) -> AnchorScene:
    """The scene of ``anchors`` and ``fields`` as `anchor_arrays` names them."""
    fields = dict(fields)
    masks = fields.pop("masks") == 1
    return assembled(
        blueprint,
        networks,
        {"anchors": anchors, **fields},
        masks if blueprint.has_masks else None,
    )
