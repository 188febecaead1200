"""The stream of outliers: primitives that are kept exactly, after those that are coded.

Layout: for each array of the scene, in the order of format-spec.md, "Scene", the rows of all
outliers as little-endian float32 (masks: bytes). Nothing is range coded: there are few of them,
and the frequency tables of byte planes would outweigh what they save.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gscodec.anchors import AnchorScene
from gscodec.errors import FormatError
from gscodec.payload import Attribute
from gscodec.room import MEMORY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.anchors import Scene
    from gscodec.kinds.kind import Kind
    from gscodec.payload import Payload
    from gscodec.room import Room

Arrays = dict[str, "NDArray[np.generic]"]
FLOAT, BYTE = np.dtype("<f4"), np.dtype(np.uint8)


def encode_outliers(scene: Scene) -> bytes:
    """The bytes of a scene that holds nothing else."""
    parts = [np.ascontiguousarray(a, FLOAT).tobytes() for a in scene.attributes().values()]
    if isinstance(scene, AnchorScene) and scene.masks is not None:
        parts.append(scene.masks.astype(BYTE).tobytes())
    return b"".join(parts)


def decode_outliers(payload: Payload, kind: Kind) -> Arrays:
    """Inverse of `encode_outliers`: the arrays by field name; empty if there is no such stream.

    Raises:
        FormatError: The stream does not hold whole rows, or all rows of the scene.
    """
    found = [s for s in payload.streams if s.attribute is Attribute.OUTLIER]
    if not found:
        return {}
    data, count = found[0].data, payload.header.count
    shapes = kind.outlier_shapes()
    width = sum(dtype.itemsize * math.prod(shape) for shape, dtype in shapes.values())
    rows = len(data) // width
    if not 1 <= rows < count or rows * width != len(data):
        raise FormatError(
            f"stream OUTLIER: found {len(data)} bytes, expected {width} for each of 1 to "
            f"{count - 1} primitives"
        )
    fields: Arrays = {}
    start = 0
    for name, (shape, dtype) in shapes.items():
        end = start + rows * dtype.itemsize * math.prod(shape)
        fields[name] = np.frombuffer(data[start:end], dtype).reshape(rows, *shape)
        start = end
    if "masks" in fields and (fields["masks"] > np.uint8(1)).any():
        raise FormatError("stream OUTLIER: found a mask other than 0 and 1")
    return fields


def outlier_count(fields: Arrays) -> int:
    """How many outliers ``fields`` of `decode_outliers` hold."""
    return len(next(iter(fields.values()))) if fields else 0


def arrays_of(scene: Scene) -> Arrays:
    """The arrays of outliers as `decode_outliers` gives them."""
    fields: Arrays = dict(scene.attributes()) if len(scene) else {}
    if fields and isinstance(scene, AnchorScene) and scene.masks is not None:
        fields["masks"] = scene.masks.astype(BYTE)
    return fields


def with_outliers(scene: Scene, fields: Arrays, room: Room = MEMORY) -> Scene:
    """``scene``, which has no extras yet, with the outliers of ``fields`` after the others."""
    if not fields:
        return scene
    arrays: dict[str, Any] = {
        name: room.joined(array, fields[name].astype(np.float32))
        for name, array in scene.attributes().items()
    }
    if "masks" in fields:
        masks = getattr(scene, "masks")  # noqa: B009 (of anchors)
        arrays["masks"] = np.concatenate([masks, fields["masks"] == np.uint8(1)])
    return replace(scene, **arrays)
