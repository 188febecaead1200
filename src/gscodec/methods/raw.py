"""Method `raw`: every float32 kept exactly, in the order of the source.

Streams: one per attribute and block. The floats of an attribute are coded as byte planes
(`gscodec.coding.planes`). Exponents compress, mantissas do not: expect a saving of 10 to 30 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gscodec.coding import decode_planes, encode_planes
from gscodec.methods import Coded, Progress, streams_of
from gscodec.payload import Attribute, Header, Method, Payload, SceneKind, Stream
from gscodec.scene import GaussianScene, sh_rest_count

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK_SIZE = 65_536
_FLOAT32 = np.dtype(np.float32)
# The sh_rest array travels whole, as the stream of the first degree.
_STREAMS = {
    Attribute.POSITION: "means",
    Attribute.OPACITY: "opacity_logits",
    Attribute.SCALE: "log_scales",
    Attribute.ROTATION: "quats",
    Attribute.SH_DC: "sh_dc",
    Attribute.SH_1: "sh_rest",
}


@dataclass(frozen=True)
class Options:
    """The encoder of `raw` has nothing to choose."""


def encode(scene: GaussianScene, options: Options, progress: Progress) -> Coded:  # noqa: ARG001
    """Codes ``scene`` without loss."""
    arrays = scene.attributes()
    starts = range(0, len(scene), BLOCK_SIZE)
    streams = []
    for block, start in enumerate(starts):
        progress("code", block / len(starts))
        for attribute, name in _STREAMS.items():
            values = arrays[name][start : start + BLOCK_SIZE]
            if values.size:
                streams.append(Stream(attribute, block, encode_planes(values)))
    finite = np.where(np.isfinite(scene.means), scene.means, 0)
    low = finite.min(axis=0, initial=np.inf) if len(scene) else np.zeros(3)
    high = finite.max(axis=0, initial=-np.inf) if len(scene) else np.zeros(3)
    header = Header(
        kind=SceneKind.GAUSSIANS,
        method=Method.RAW,
        count=len(scene),
        sh_degree=scene.sh_degree,
        has_normals=scene.has_normals,
        block_size=BLOCK_SIZE,
        position_bits=0,
        lattice_origin=(0.0, 0.0, 0.0),
        lattice_step=0.0,
        bounds_min=(float(low[0]), float(low[1]), float(low[2])),
        bounds_max=(float(high[0]), float(high[1]), float(high[2])),
        scene_sha256=scene.digest(),
    )
    return Coded(Payload(header, tuple(streams)), scene)


def decode(
    payload: Payload,
    progress: Progress,
    threads: int | None = None,  # noqa: ARG001
) -> GaussianScene:
    """Inverse of `encode`; one thread is enough."""
    header = payload.header
    n, rest = header.count, sh_rest_count(header.sh_degree)
    widths = {"means": 3, "opacity_logits": 1, "log_scales": 3, "quats": 4, "sh_dc": 3}
    widths["sh_rest"] = 3 * rest
    starts = range(0, n, header.block_size)
    present = [attribute for attribute, name in _STREAMS.items() if widths[name]]
    streams = streams_of(payload, ((a, b) for b in range(len(starts)) for a in present))
    parts: dict[str, list[NDArray[np.float32]]] = {name: [] for name in _STREAMS.values()}
    for block, start in enumerate(starts):
        progress("decode", block / len(starts))
        rows = min(header.block_size, n - start)
        for attribute in present:
            name = _STREAMS[attribute]
            data = streams[attribute, block]
            parts[name].append(decode_planes(data, rows * widths[name], _FLOAT32))
    arrays = {
        name: np.concatenate(runs) if runs else np.zeros(0, np.float32)
        for name, runs in parts.items()
    }
    return GaussianScene(
        means=arrays["means"].reshape(n, 3),
        opacity_logits=arrays["opacity_logits"],
        log_scales=arrays["log_scales"].reshape(n, 3),
        quats=arrays["quats"].reshape(n, 4),
        sh_dc=arrays["sh_dc"].reshape(n, 3),
        sh_rest=arrays["sh_rest"].reshape(n, rest, 3),
        has_normals=header.has_normals,
    )
