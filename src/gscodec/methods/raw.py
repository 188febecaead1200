"""Method `raw`: every float32 kept exactly, in the order of the source.

Streams: one per attribute and block. The floats of an attribute are coded as byte planes
(`gscodec.coding.planes`). Exponents compress, mantissas do not: expect a saving of 10 to 30 %.
Anchors have two streams more: their networks, exact too, and how the checkpoint was stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gscodec.anchors import SCALINGS, AnchorScene, Scene
from gscodec.bitmap import BitMap
from gscodec.coding import decode_planes, encode_planes
from gscodec.errors import FormatError
from gscodec.kinds.blueprint import (
    Blueprint,
    assembled,
    blueprint_of,
    decode_exact_networks,
    encode_exact_networks,
)
from gscodec.method import Coded, Progress, streams_of
from gscodec.payload import Attribute, Header, Method, Payload, SceneKind, Stream
from gscodec.room import MEMORY
from gscodec.scene import GaussianScene, sh_rest_count

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.room import Room

_FLOAT32, _BYTE = np.dtype(np.float32), np.dtype(np.uint8)
# The sh_rest array travels whole, as the stream of the first degree.
_GAUSSIANS = {
    Attribute.POSITION: "means",
    Attribute.OPACITY: "opacity_logits",
    Attribute.SCALE: "log_scales",
    Attribute.ROTATION: "quats",
    Attribute.SH_DC: "sh_dc",
    Attribute.SH_1: "sh_rest",
}
_ANCHORS = {
    Attribute.POSITION: "anchors",
    Attribute.FEATURE: "features",
    Attribute.SCALING: "log_scalings",
    Attribute.OFFSET: "offsets",
    Attribute.MASK: "masks",
}


@dataclass(frozen=True)
class Options:
    """Settings of the encoder.

    Attributes:
        block_size: Primitives whose numbers are coded together.
    """

    block_size: int = 65_536


@dataclass(frozen=True)
class Given:
    """Nothing: a scene is coded without looking at it."""


_NOTHING = Given()


def require(options: Options) -> None:
    """Nothing is needed but what decoding needs."""


def encode(
    scene: Scene,
    options: Options,
    progress: Progress,
    given: Given = _NOTHING,  # noqa: ARG001
) -> Coded:
    """Codes ``scene`` without loss."""
    arrays: dict[Attribute, NDArray[np.generic]] = {}
    shared: tuple[Stream, ...] = ()
    if isinstance(scene, AnchorScene):
        arrays.update({a: scene.attributes()[n] for a, n in list(_ANCHORS.items())[:-1]})
        if scene.masks is not None:
            arrays[Attribute.MASK] = scene.masks.astype(np.uint8)
        rendering = encode_exact_networks(scene.networks)
        blueprint = Blueprint.of(scene).encode()
        shared = (
            Stream(Attribute.RENDERING, 0, rendering),
            Stream(Attribute.CHECKPOINT, 0, blueprint),
        )
    else:
        arrays.update({a: scene.attributes()[n] for a, n in _GAUSSIANS.items()})
    starts = range(0, len(scene), options.block_size)
    streams = []
    for block, start in enumerate(starts):
        progress("code", block / len(starts))
        for attribute, array in arrays.items():
            values = array[start : start + options.block_size]
            if values.size:
                streams.append(Stream(attribute, block, encode_planes(values)))
    header = _header(
        scene, np.asarray(arrays[Attribute.POSITION], np.float32), options.block_size
    )
    return Coded(Payload(header, (*streams, *shared)), scene)


def _header(scene: Scene, positions: NDArray[np.float32], block_size: int) -> Header:
    finite = np.where(np.isfinite(positions), positions, 0)
    low = finite.min(axis=0, initial=np.inf) if len(scene) else np.zeros(3)
    high = finite.max(axis=0, initial=-np.inf) if len(scene) else np.zeros(3)
    gaussians = isinstance(scene, GaussianScene)
    return Header(
        kind=SceneKind.GAUSSIANS if gaussians else SceneKind.ANCHORS,
        method=Method.RAW,
        count=len(scene),
        sh_degree=scene.sh_degree if isinstance(scene, GaussianScene) else 0,
        has_normals=isinstance(scene, GaussianScene) and scene.has_normals,
        block_size=block_size,
        position_bits=0,
        lattice_origin=(0.0, 0.0, 0.0),
        lattice_step=0.0,
        bounds_min=(float(low[0]), float(low[1]), float(low[2])),
        bounds_max=(float(high[0]), float(high[1]), float(high[2])),
        scene_sha256=scene.digest(),
    )


def decode(
    payload: Payload,
    progress: Progress,
    threads: int | None = None,  # noqa: ARG001
    room: Room = MEMORY,  # noqa: ARG001
) -> Scene:
    """Inverse of `encode`; one thread is enough. Everything is in memory.

    Raises:
        FormatError: Streams are missing or inconsistent.
    """
    header, blueprint = payload.header, blueprint_of(payload)
    if header.position_bits:
        raise FormatError(f"method raw: found {header.position_bits} position bits, expected 0")
    widths = _gaussian_widths(header) if blueprint is None else _anchor_widths(blueprint)
    n = header.count
    if -(-n // header.block_size) > len(payload.streams):
        raise FormatError(
            f"method raw: {len(payload.streams)} streams cannot hold {n} primitives "
            f"in blocks of {header.block_size}"
        )
    starts = range(0, n, header.block_size)
    shared = [] if blueprint is None else [(Attribute.RENDERING, 0), (Attribute.CHECKPOINT, 0)]
    present = [attribute for attribute, width in widths.items() if width]
    by_block = ((a, b) for b in range(len(starts)) for a in present)
    streams = streams_of(payload, (*shared, *by_block))
    parts: dict[Attribute, list[NDArray[np.generic]]] = {attribute: [] for attribute in widths}
    for block, start in enumerate(starts):
        progress("decode", block / len(starts))
        rows = min(header.block_size, n - start)
        for attribute in present:
            kind = _BYTE if attribute is Attribute.MASK else _FLOAT32
            data = streams[attribute, block]
            parts[attribute].append(decode_planes(data, rows * widths[attribute], kind))
    arrays = {
        attribute: np.concatenate(runs).astype(np.float32) if runs else np.zeros(0, np.float32)
        for attribute, runs in parts.items()
    }
    if blueprint is None:
        return _gaussians(arrays, header)
    return _anchors(arrays, streams[Attribute.RENDERING, 0], n, blueprint)


def _anchors(
    arrays: dict[Attribute, NDArray[np.float32]], networks: bytes, n: int, blueprint: Blueprint
) -> AnchorScene:
    shapes: dict[str, tuple[int, ...]] = {
        "anchors": (n, 3),
        "features": (n, blueprint.features),
        "log_scalings": (n, SCALINGS),
        "offsets": (n, blueprint.offsets, 3),
    }
    fields = {
        name: arrays[attribute].reshape(shapes[name])
        for attribute, name in _ANCHORS.items()
        if name in shapes
    }
    masks = _masks(arrays[Attribute.MASK], blueprint)
    return assembled(blueprint, decode_exact_networks(networks, blueprint), fields, masks)


def _masks(values: NDArray[np.float32], blueprint: Blueprint) -> NDArray[np.bool_] | None:
    if not blueprint.has_masks:
        return None
    if values.max(initial=0) > 1:
        raise FormatError(f"stream MASK: found {values.max():.0f}, expected 0 or 1")
    masks: NDArray[np.bool_] = values.reshape(-1, blueprint.offsets) == 1
    return masks


def _gaussian_widths(header: Header) -> dict[Attribute, int]:
    """Values of each attribute per primitive."""
    widths = dict(zip(_GAUSSIANS, (3, 1, 3, 4, 3), strict=False))
    return {**widths, Attribute.SH_1: 3 * sh_rest_count(header.sh_degree)}


def _anchor_widths(blueprint: Blueprint) -> dict[Attribute, int]:
    count = blueprint.offsets
    masks = count if blueprint.has_masks else 0
    widths = (3, blueprint.features, SCALINGS, 3 * count, masks)
    return dict(zip(_ANCHORS, widths, strict=True))


def _gaussians(arrays: dict[Attribute, NDArray[np.float32]], header: Header) -> GaussianScene:
    n = header.count
    return GaussianScene(
        means=arrays[Attribute.POSITION].reshape(n, 3),
        opacity_logits=arrays[Attribute.OPACITY],
        log_scales=arrays[Attribute.SCALE].reshape(n, 3),
        quats=arrays[Attribute.ROTATION].reshape(n, 4),
        sh_dc=arrays[Attribute.SH_DC].reshape(n, 3),
        sh_rest=arrays[Attribute.SH_1].reshape(n, sh_rest_count(header.sh_degree), 3),
        has_normals=header.has_normals,
    )


def spent(payload: Payload, progress: Progress, threads: int | None = None) -> BitMap:
    """The bits of each stream, evenly over the rows of its block: byte planes are coded whole."""
    header = payload.header
    scene = decode(payload, progress, threads)
    positions = scene.means if isinstance(scene, GaussianScene) else scene.anchors
    bits: dict[Attribute, NDArray[np.float32]] = {}
    shared: dict[Attribute, float] = {}
    for stream in payload.streams:
        if stream.attribute in (Attribute.RENDERING, Attribute.CHECKPOINT):
            shared[stream.attribute] = 8.0 * len(stream.data)
        elif stream.attribute is not Attribute.EXTRA:
            each = bits.setdefault(stream.attribute, np.zeros(len(positions), np.float32))
            rows = each[stream.block * header.block_size :][: header.block_size]
            rows += 8 * len(stream.data) / len(rows)
    return BitMap(header.kind, positions, bits, shared)
