"""The state of an interrupted effort high: enough to end with the bytes of a run without pause.

Layout, little-endian, nothing compressed: magic, key, SHA-256 of the body; the body is a header
of fixed width, then arrays and the streams of a model, whose sizes follow from the header. The
key is compared first, so a state of something else is not looked into; and nothing is allocated
that the bytes do not hold.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gscodec._version import __version__
from gscodec.errors import FormatError, SceneError
from gscodec.geometry import MAX_BITS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.anchors import Scene
    from gscodec.learned.model import Model
    from gscodec.learned.run import Run

_MAGIC = b"gscodec state 4\n"
_HASH = 32
_START = len(_MAGIC) + 2 * _HASH
# Primitives, iterations, share, seconds, bytes of what says what is set aside, which ends the
# body; then bytes of each stream of the model.
_HEADER = struct.Struct("<QQddQ")


@dataclass(frozen=True)
class State:
    """An optimisation between two rounds, or in one whose model is learned.

    Attributes:
        scene: The primitives that are left, with their values so far.
        index: (N,) int64, which primitive of the original scene each one is.
        done: Iterations so far.
        share: Of the rounds, so far.
        seconds: Spent so far.
        model: What is learned of this scene for the next round, or for coding it at the end;
            None if nothing is yet.
    """

    scene: Scene
    index: NDArray[np.int64]
    done: int
    share: float
    seconds: float
    model: Model | None = None

    @classmethod
    def start(cls, scene: Scene) -> State:
        """Before the first round."""
        return cls(scene, np.arange(len(scene)), 0, 0.0, 0.0)

    def save(self, key: bytes, run: Run) -> bytes:
        """As bytes; ``key`` says what it is the state of."""
        shared = run.method.shared
        streams = {} if self.model is None else self.model.streams()
        sizes = [len(streams.get(attribute, b"")) for attribute in shared]
        reasons = json.dumps(run.aside.reasons).encode("ascii")
        numbers = (len(self.scene), self.done, self.share, self.seconds, len(reasons))
        parts = [
            _HEADER.pack(*numbers),
            struct.pack(f"<{len(sizes)}Q", *sizes),
            self.index.astype("<i8").tobytes(),
        ]
        arrays = (*self.scene.attributes().values(), *run.subject.free(self.scene))
        parts += [array.astype("<f4").tobytes() for array in arrays]
        parts += [streams.get(attribute, b"") for attribute in shared]
        body = b"".join([*parts, reasons])
        return _MAGIC + key + hashlib.sha256(body).digest() + body

    @classmethod
    def load(cls, data: bytes, key: bytes, run: Run) -> State:
        """Inverse of `save`; everything that is not coded comes from the scene of ``run``.

        Raises:
            SceneError: Not a state, or the state of something else.
        """
        least = _START + _HEADER.size + 8 * len(run.method.shared)
        if not data.startswith(_MAGIC) or len(data) < least:
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
            return cls._of(body, run)
        except FormatError as error:
            raise SceneError(f"resume: the state is damaged ({error}); start anew") from error

    @classmethod
    def _of(cls, body: memoryview, run: Run) -> State:
        source, shared = run.subject.scene, run.method.shared
        free = run.subject.free(source)
        count, done, share, seconds, told = _HEADER.unpack_from(body)
        sizes = struct.unpack_from(f"<{len(shared)}Q", body, _HEADER.size)
        start = _HEADER.size + 8 * len(shared)
        widths = {n: math.prod(a.shape[1:]) for n, a in source.attributes().items()}
        width = 8 + 4 * sum(widths.values())
        fixed = start + 4 * sum(array.size for array in free)
        if not (
            1 <= count <= len(source)
            and fixed + count * width + sum(sizes) + told == len(body)
            and 0 <= share < math.inf
            and 0 <= seconds < math.inf
        ):
            raise FormatError("its numbers do not fit together")
        index = np.frombuffer(body, "<i8", count, start).astype(np.int64)
        reader = _Reader(body, start + 8 * count)
        fields: dict[str, Any] = {
            name: reader.floats((count, *array.shape[1:]))
            for name, array in source.attributes().items()
        }
        weights = [reader.floats(array.shape) for array in free]
        once = len(np.unique(index)) == count and index.min() >= 0 and index.max() < len(source)
        if not once or not all(np.isfinite(a).all() for a in (*fields.values(), *weights)):
            raise FormatError(f"it holds no {run.subject.noun} of this scene")
        scene = run.subject.with_free(replace(source.take(index), **fields), weights)
        model = None
        if any(sizes):
            pairs = zip(shared, sizes, strict=True)
            streams = {
                (attribute, 0): reader.bytes(size)
                for attribute, size in pairs
                if size or attribute not in run.method.optional
            }
            model = run.method.read(streams, run.subject.kind.units, MAX_BITS)
        return cls(scene, index, done, share, seconds, model)


def set_aside(data: bytes) -> dict[int, str]:
    """Why which rows of a scene are set aside, as the state ``data`` says.

    What codes a scene may have to leave rows out that nobody suspects before: a run that goes on
    from there begins without them. Empty where ``data`` is no sound state; `State.load` tells.
    """
    body = data[_START:]
    sound = data.startswith(_MAGIC) and len(body) >= _HEADER.size
    if not sound or hashlib.sha256(body).digest() != data[_START - _HASH : _START]:
        return {}
    *_, size = _HEADER.unpack_from(body)
    try:
        found = json.loads(body[len(body) - size :]) if 0 < size <= len(body) else {}
        return {int(row): str(reason) for row, reason in found.items()}
    except (ValueError, AttributeError, RecursionError):
        return {}


class _Reader:
    """Takes one part of the body after the other."""

    def __init__(self, body: memoryview, start: int) -> None:
        self._body, self._at = body, start

    def bytes(self, size: int) -> bytes:
        """The next ``size``."""
        self._at += size
        return bytes(self._body[self._at - size : self._at])

    def floats(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """The next array."""
        data = self.bytes(4 * math.prod(shape))
        return np.frombuffer(data, "<f4").reshape(shape).astype(np.float32)


def key_of(run: Run, lam: float) -> bytes:
    """Of all that decides what an optimisation gives; threads only change how long it takes."""
    from gscodec.fit.devices import on_device

    views, scene = run.views, run.subject.scene
    device = on_device(run.options.device)
    settings = replace(run.options, lam=lam, device=device, threads=None)
    key = hashlib.sha256(repr((__version__, run.method.name, settings)).encode())
    key.update(scene.digest())
    key.update(repr(getattr(scene, "antialiased", False)).encode())
    for camera in views.cameras:
        lens = (camera.fx, camera.fy, camera.cx, camera.cy, camera.distortion)
        key.update(repr((camera.width, camera.height, lens)).encode())
        key.update(camera.world_to_camera.astype("<f8").tobytes())
    for picture in views.photographs or ():
        key.update(repr(picture.shape).encode())
        key.update(picture.astype("<f2").tobytes())
    return key.digest()
