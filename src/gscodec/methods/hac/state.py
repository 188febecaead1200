"""The state of an interrupted effort high: enough to end with the bytes of a run without pause.

Layout, little-endian, nothing compressed: magic, key, SHA-256 of the body; the body is a header
of fixed width, then arrays and the streams of a model, whose sizes follow from the header. The
key is compared first, so a state of something else is not looked into; and nothing is allocated
that the bytes do not hold.
"""

from __future__ import annotations

import hashlib
import math
import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gscodec._version import __version__
from gscodec.errors import FormatError, SceneError
from gscodec.geometry import MAX_BITS
from gscodec.methods.hac.assembly import model_streams
from gscodec.methods.hac.decoder import decode_model
from gscodec.methods.hac.layout import groups
from gscodec.payload import Attribute

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.methods.hac.encoder import Encoding
    from gscodec.methods.hac.layout import Model
    from gscodec.scene import GaussianScene

_MAGIC = b"gscodec state 2\n"
_HASH = 32
_START = len(_MAGIC) + 2 * _HASH
# Gaussians, iterations, share, seconds, bytes of the networks and of the grid.
_HEADER = struct.Struct("<QQddQQ")


@dataclass(frozen=True)
class State:
    """An optimisation between two rounds, or in one whose model is learned.

    Attributes:
        scene: The Gaussians that are left, with their values so far.
        index: (N,) int64, which Gaussian of the original scene each one is.
        done: Iterations so far.
        share: Of the rounds, so far.
        seconds: Spent so far.
        model: What is learned of this scene for the next round, or for coding it at the end;
            None if nothing is yet.
    """

    scene: GaussianScene
    index: NDArray[np.int64]
    done: int
    share: float
    seconds: float
    model: Model | None = None

    @classmethod
    def start(cls, scene: GaussianScene) -> State:
        """Before the first round."""
        return cls(scene, np.arange(len(scene)), 0, 0.0, 0.0)

    def save(self, key: bytes) -> bytes:
        """As bytes; ``key`` says what it is the state of."""
        networks, grid = (b"", b"") if self.model is None else model_streams(self.model)
        numbers = (self.done, self.share, self.seconds, len(networks), len(grid))
        parts = [_HEADER.pack(len(self.scene), *numbers), self.index.astype("<i8").tobytes()]
        parts += [a.astype("<f4").tobytes() for a in self.scene.attributes().values()]
        body = b"".join([*parts, networks, grid])
        return _MAGIC + key + hashlib.sha256(body).digest() + body

    @classmethod
    def load(cls, data: bytes, key: bytes, source: GaussianScene) -> State:
        """Inverse of `save`; everything that is not coded comes from ``source``.

        Raises:
            SceneError: Not a state, or the state of something else.
        """
        if not data.startswith(_MAGIC) or len(data) < _START + _HEADER.size:
            raise SceneError(
                "resume: found no state of an optimisation by this version; start anew"
            )
        if data[len(_MAGIC) : len(_MAGIC) + _HASH] != key:
            raise SceneError(
                "resume: found the state of another scene, of other views or of other "
                "settings; start anew"
            )
        body = memoryview(data)[_START:]
        if hashlib.sha256(body).digest() != data[_START - _HASH : _START]:
            raise SceneError("resume: the state is damaged; start anew")
        try:
            return cls._of(body, source)
        except FormatError as error:
            raise SceneError(f"resume: the state is damaged ({error}); start anew") from error

    @classmethod
    def _of(cls, body: memoryview, source: GaussianScene) -> State:
        count, done, share, seconds, networks, grid = _HEADER.unpack_from(body)
        widths = {n: math.prod(a.shape[1:]) for n, a in source.attributes().items()}
        width = 8 + 4 * sum(widths.values())
        if not (
            1 <= count <= len(source)
            and _HEADER.size + count * width + networks + grid == len(body)
            and 0 <= share < math.inf
            and 0 <= seconds < math.inf
        ):
            raise FormatError("its numbers do not fit together")
        index = np.frombuffer(body, "<i8", count, _HEADER.size).astype(np.int64)
        at = _HEADER.size + 8 * count
        fields: dict[str, Any] = {}
        for name, array in source.attributes().items():
            values = np.frombuffer(body, "<f4", count * widths[name], at)
            fields[name] = values.reshape(count, *array.shape[1:]).astype(np.float32)
            at += values.nbytes
        once = len(np.unique(index)) == count and index.min() >= 0 and index.max() < len(source)
        if not once or not all(np.isfinite(array).all() for array in fields.values()):
            raise FormatError("it holds no Gaussians of this scene")
        scene = replace(source.take(index), **fields)
        model = None
        if networks or grid:
            streams = {
                (Attribute.NETWORKS, 0): bytes(body[at : at + networks]),
                (Attribute.GRID, 0): bytes(body[at + networks :]),
            }
            model = decode_model(streams, groups(source.sh_degree), 0, MAX_BITS)
        return cls(scene, index, done, share, seconds, model)


def key_of(encoding: Encoding, lam: float) -> bytes:
    """Of all that decides what an optimisation gives."""
    from gscodec.fit.hac import on_device

    options, views, scene = encoding.options, encoding.views, encoding.scene
    device = on_device(options.device)
    settings = (lam, options.iterations, options.time_limit, options.position_bits, device)
    training = (options.training, options.round_length)
    key = hashlib.sha256(repr((__version__, settings, training, options.seed)).encode())
    key.update(scene.digest())
    key.update(repr(scene.antialiased).encode())
    for camera in views.cameras:
        lens = (camera.fx, camera.fy, camera.cx, camera.cy, camera.distortion)
        key.update(repr((camera.width, camera.height, lens)).encode())
        key.update(camera.world_to_camera.astype("<f8").tobytes())
    for picture in views.photographs or ():
        key.update(repr(picture.shape).encode())
        key.update(picture.astype("<f2").tobytes())
    return key.digest()
