"""Mutations that know the grammar: hostile numbers behind right checksums, for fuzz.py.

Strategy: a valid file is decoded by the real decoder, whose range decoder is replaced by one that
lets some symbols through as others and codes again what it has given out. So every hostile
symbol (of networks, grids, counts, octrees, levels, values) comes out of a stream that is sound,
under the tables that it itself has led to, and what follows it is as it was. Fields that are no
symbols are changed before that; CRCs, index, seal and the scene's digest are mended after it.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np

import fuzzing
from gscodec import extras, methods
from gscodec.coding import Decoder, Encoder, naturals
from gscodec.container import layout, unpack
from gscodec.container.header import read_header
from gscodec.errors import GscodecError
from gscodec.kinds.blueprint import FIELDS
from gscodec.payload import Attribute, Payload, Stream

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from numpy.typing import NDArray

    from gscodec.coding.range_coder import Model

_RATES = (0.0, 0.001, 0.01, 0.1, 0.5)  # of runs that are changed
_MAX_FILL = 200_000


def mutate(rng: Random, data: bytes) -> tuple[bytes, str]:
    """A changed file and, in words, how; ``data`` is a valid one."""
    chunks = fuzzing.split(data)
    kinds = ["symbols"]
    if rng.random() < 0.15:
        chunks[0] = (b"HEAD", _changed_fields(rng, chunks[0][1], layout.HEAD_STRUCT.format))
        kinds.append("header")
    if rng.random() < 0.2:
        chunks = [_changed_stream(rng, *chunk) for chunk in chunks]
        kinds.append("fields")
    if rng.random() < 0.1:
        text = rng.choice(fuzzing.BAD_NOTES)
        chunks = [chunks[0], (b"meta", text), *(c for c in chunks[1:] if c[0] != b"meta")]
        kinds.append("meta")
    if rng.random() < 0.05:
        tag = rng.choice((b"note", b"conv", b"fill"))
        chunks.insert(rng.randrange(1, len(chunks)), (tag, rng.randbytes(rng.choice((0, 25)))))
        kinds.append("chunk")
    return fuzzing.seal(_rewritten(rng, chunks)), "+".join(kinds)


def _rewritten(rng: Random, chunks: fuzzing.Chunks) -> fuzzing.Chunks:
    """``chunks`` with some symbols changed, and with the digest of what they decode to."""
    try:
        header = read_header(chunks[0][1])
    except GscodecError:
        return chunks
    # What pads a file bounds its count: also counts above what the original holds are tried.
    missing = min(header.count * 4, _MAX_FILL) - sum(len(p) for _, p in chunks)
    if missing > 0 and not any(tag == b"fill" for tag, _ in chunks):
        at = next((i for i, (tag, _) in enumerate(chunks) if tag == b"INDX"), len(chunks))
        chunks.insert(at, (b"fill", bytes(missing)))
    try:
        payload = unpack(fuzzing.seal(chunks))
    except GscodecError:
        return chunks
    again = _Again(rng, rng.choice(_RATES), payload)
    digest = again.run() or header.scene_sha256
    chunks[0] = (b"HEAD", chunks[0][1][: layout.head_offset("scene_sha256")] + digest)
    coded = iter(again.streams)
    return [
        (tag, content[:5] + next(coded)) if tag in {b"STRM", b"xtra"} else (tag, content)
        for tag, content in chunks
    ]


@dataclass
class _Again:
    """Decodes a payload and codes again what the decoder is given.

    Attributes:
        rng: Draws what is changed.
        rate: Share of the runs of symbols that are.
        payload: A file whose streams may not fit its header.
        streams: Data of its streams, changed.
    """

    rng: Random
    rate: float
    payload: Payload
    streams: list[bytes] = field(default_factory=list)
    coders: list[tuple[bytes, Encoder]] = field(default_factory=list)

    def run(self) -> bytes | None:
        """The digest of the scene that `streams` decode to, None if they cannot be decoded."""
        digest, again = None, self
        real_init, real_decode = Decoder.__init__, Decoder.decode

        def init(self: Any, data: bytes) -> None:
            real_init(self, data)
            self.again = Encoder()
            again.coders.append((data, self.again))

        def decode(self: Any, count: int, model: Model) -> NDArray[np.int32]:
            def original(size: int) -> NDArray[np.int32]:
                try:
                    symbols: NDArray[np.int32] = real_decode(self, size, model)
                except GscodecError:  # its words no longer fit: they led elsewhere
                    symbols = np.zeros(size, np.int32)
                return symbols

            if model is naturals._BYTES:
                symbols = self.natural.plane(original)
            else:
                before = original(count)
                symbols = again.changed(before, len(model))
                if model is naturals._LENGTHS:
                    self.natural = _Naturals(again.rng, before, symbols)
            self.again.encode(symbols, model)
            return np.asarray(symbols, np.int32)

        with (
            patch.object(Decoder, "__init__", init),
            patch.object(Decoder, "decode", decode),
            patch.object(Decoder, "finish", lambda _: None),
        ):
            try:
                method = methods.by_id(self.payload.header.method)
                digest = method.decode(self.payload, lambda *_: None, 1).digest()
                extras.decode(self.payload)
            except GscodecError:
                pass
        self.streams = [self._data_of(stream) for stream in self.payload.streams]
        return digest

    def changed(self, symbols: NDArray[np.int32], size: int) -> NDArray[np.int32]:
        """A run as the decoder will see it."""
        if not len(symbols) or self.rng.random() >= self.rate:
            return symbols
        symbols = symbols.copy()
        value = self.rng.choice((0, 1, size - 1, size - 2, size // 2, self.rng.randrange(size)))
        match self.rng.randrange(4):
            case 0:
                symbols[:] = value
            case 1:
                noise = np.random.default_rng(self.rng.getrandbits(32))
                symbols[:] = noise.integers(0, size, len(symbols))
            case _:
                symbols[self.rng.randrange(len(symbols))] = value
        return symbols

    def _data_of(self, stream: Stream) -> bytes:
        """What ``stream`` holds now: what was not decoded is as it was."""
        for number, (data, encoder) in enumerate(self.coders):
            extra = stream.attribute is Attribute.EXTRA and stream.data.endswith(data)
            if data is stream.data or extra:
                del self.coders[number]
                return stream.data[: len(stream.data) - len(data)] + encoder.finish()
        return stream.data


@dataclass
class _Naturals:
    """The bytes of a run of naturals some of whose lengths were changed: sound, and in step."""

    rng: Random
    before: NDArray[np.int32]
    after: NDArray[np.int32]
    number: int = 0

    def plane(self, original: Callable[[int], NDArray[np.int32]]) -> NDArray[np.int32]:
        """The next plane of bytes: below the leading one, zeros above it."""
        there = self.before > 8 * self.number
        content = np.full(len(there), self.rng.choice((0, 255, self.rng.randrange(256))))
        content[there] = original(int(there.sum()))
        low = ((np.int64(1) << self.after.astype(np.int64)) - 1) >> (8 * self.number) & 255
        wanted = self.after > 8 * self.number
        self.number += 1
        found: NDArray[np.int32] = (content & low)[wanted].astype(np.int32)
        return found


# --- Fields that are no symbols --------------------------------------------------------------


def _changed_fields(rng: Random, content: bytes, code: str) -> bytes:
    """One or two numbers of a structure become others."""
    values: list[Any] = list(struct.unpack_from(code, content))
    for _ in range(rng.choice((1, 1, 2))):
        at = rng.randrange(len(values))
        old = values[at]
        if isinstance(old, float):
            extremes = (0.0, -0.0, 1e-320, 1e300, -1e300, float("inf"), float("nan"), -old)
            values[at] = rng.choice(extremes)
        elif isinstance(old, int):
            values[at] = rng.choice((*fuzzing.EXTREMES, old + 1, old - 1, 2 * old, old // 2))
        else:
            values[at] = rng.randbytes(len(old))
    codes = re.findall(r"[0-9]*s|[A-Za-z]", re.sub(r"([0-9]+)([HId])", _repeated, code[1:]))
    parts = []
    for single, value, old in zip(
        codes, values, struct.unpack_from(code, content), strict=True
    ):
        try:
            parts.append(struct.pack(f"<{single}", value))
        except struct.error:  # too large for its field
            parts.append(struct.pack(f"<{single}", old))
    return b"".join(parts) + content[struct.calcsize(code) :]


def _repeated(found: re.Match[str]) -> str:
    return found[2] * int(found[1])


def _changed_stream(rng: Random, tag: bytes, content: bytes) -> tuple[bytes, bytes]:
    """The blueprint of anchors, a name or a type of an extra property, or a block's number."""
    if tag == b"STRM" and content[0] == Attribute.CHECKPOINT:
        return tag, content[:5] + _changed_fields(rng, content[5:], FIELDS.format)
    if tag == b"xtra":
        changed = bytearray(content)
        changed[rng.randrange(5, min(len(content), 16))] = rng.randrange(256)
        return tag, bytes(changed)
    if tag == b"STRM" and rng.random() < 0.02:
        return tag, _changed_fields(rng, content, layout.STREAM_HEADER.format)
    return tag, content
