"""Mutators of .gsz files, for fuzz.py and test_bad_files.py.

Strategy: a mutation is drawn from one number, so that the number reproduces it. Naive
mutations leave the checksums alone: nothing of them may decode. Sealed ones recompute CRC-32,
index and SHA-256, as an attacker would: they may decode, but only to a scene whose digest the
header already had.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from hashlib import sha256
from random import Random
from zlib import crc32

from gscodec import codec
from gscodec.errors import FormatError, UnsupportedError

BAD_NOTES = (
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b'{"a":NaN}',
    b'{"a":1e999}',
    b'{"a":"\\ud800"}',
    b'{"a":' + b"9" * 5000 + b"}",
    b"[]",
    b"\xff",
    b"",
)
Chunks = list[tuple[bytes, bytes]]  # tag, payload
PREAMBLE_BYTES, ENVELOPE = 12, struct.Struct("<4sQI")
EXTREMES = (0, 1, 255, 2**16, 2**24 - 1, 2**31, 2**32 - 1, 2**48, 2**63, 2**64 - 1)


@dataclass(frozen=True)
class Sample:
    """A valid file and the digest of its scene."""

    data: bytes
    digest: bytes

    @classmethod
    def of(cls, data: bytes) -> Sample:
        """The sample made of the valid file ``data``."""
        return cls(data, codec.decode(data).digest())


@dataclass(frozen=True)
class Mutation:
    """A changed file.

    Attributes:
        number: What it was drawn from.
        kind: In words.
        sealed: Whether the checksums fit again.
        data: The bytes.
        anew: Whether the digest of the scene was mended too, so that it may be any scene.
    """

    number: int
    kind: str
    sealed: bool
    data: bytes
    anew: bool = False


def mutate(samples: list[Sample], number: int) -> Mutation:
    """The mutation ``number`` of ``samples``; the same arguments give the same bytes."""
    rng = Random(number)
    base, other = rng.choice(samples).data, rng.choice(samples).data
    if rng.random() < 0.4:
        change = rng.choice(_BYTE_CHANGES)
        return Mutation(number, change.__name__, False, change(rng, base))
    chunks, sealed = split(base), rng.random() < 0.8
    changes = rng.choices(_CHUNK_CHANGES, k=rng.choice((1, 1, 1, 2)))
    for change_chunks in changes:
        chunks = change_chunks(rng, chunks, split(other))
    data = seal(chunks, reindex=rng.random() < 0.8) if sealed else join(chunks, base)
    return Mutation(number, "+".join(c.__name__ for c in changes), sealed, data)


def problem_with(mutation: Mutation, samples: list[Sample]) -> str | None:
    """Decodes ``mutation.data``; what broke the promise of a clean refusal, if anything did."""
    originals = {sample.data for sample in samples}
    try:
        scene = codec.decode(mutation.data)
    except (FormatError, UnsupportedError) as error:
        if mutation.data in originals:
            return f"refuses an unchanged file: {error}"
        return None if "\n" not in str(error) else f"error of several lines: {error}"
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  also the panic of a compiled extension
        return f"raises {type(error).__name__}: {error}"
    if not mutation.sealed and mutation.data not in originals:
        return "decodes although its checksums are wrong"
    if not mutation.anew and scene.digest() not in {sample.digest for sample in samples}:
        return "decodes to a scene that nobody encoded"
    return None


# --- Chunks ----------------------------------------------------------------------------------


def split(data: bytes) -> Chunks:
    """The chunks of a valid file."""
    chunks, offset = [], PREAMBLE_BYTES
    while offset < len(data):
        tag, length, _ = ENVELOPE.unpack_from(data, offset)
        offset += ENVELOPE.size
        chunks.append((tag, data[offset : offset + length]))
        offset += length
    return chunks


def chunk(tag: bytes, payload: bytes) -> bytes:
    """A chunk with a right checksum."""
    crc = crc32(payload, crc32(struct.pack("<4sQ", tag, len(payload))))
    return ENVELOPE.pack(tag, len(payload), crc) + payload


def join(chunks: Chunks, base: bytes) -> bytes:
    """Chunks with right CRCs after the preamble of ``base``; index and seal as they were."""
    return base[:PREAMBLE_BYTES] + b"".join(chunk(tag, payload) for tag, payload in chunks)


def seal(chunks: Chunks, *, reindex: bool = True) -> bytes:
    """A file of ``chunks`` in which every checksum is right, and on request the index too."""
    data = b"\x89GSZ\r\n\x1a\n\x01\x00\x00\x00"
    index, index_offset = b"", 0
    for tag, payload in chunks:
        content = payload
        if tag == b"STRM":
            length = ENVELOPE.size + len(payload)
            index += payload[:5].ljust(5, b"\0") + struct.pack("<QQ", len(data), length)
        elif tag == b"INDX":
            content, index_offset = (index if reindex else payload), len(data)
        elif tag == b"DONE":
            content = struct.pack("<Q", index_offset) + sha256(data).digest()
        data += chunk(tag, content)
    return data


# --- Changes to bytes ------------------------------------------------------------------------


def flip_bits(rng: Random, data: bytes) -> bytes:
    """One to four flipped bits."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def overwrite(rng: Random, data: bytes) -> bytes:
    """A run of random bytes, zeros or ones."""
    start, length = rng.randrange(len(data)), rng.choice((1, 2, 4, 8, 64))
    run = rng.choice([rng.randbytes(length), bytes(length), b"\xff" * length])
    return data[:start] + run[: len(data) - start] + data[start + length :]


def truncate(rng: Random, data: bytes) -> bytes:
    """The end is missing."""
    return data[: rng.randrange(len(data))]


def append(rng: Random, data: bytes) -> bytes:
    """Bytes after the end."""
    return data + rng.randbytes(rng.choice((1, 16, 100)))


def move_bytes(rng: Random, data: bytes) -> bytes:
    """A run is cut out and put somewhere else."""
    start, length = rng.randrange(len(data)), rng.choice((1, 4, 16, 200))
    run, rest = data[start : start + length], data[:start] + data[start + length :]
    target = rng.randrange(len(rest) + 1)
    return rest[:target] + run + rest[target:]


def inflate_number(rng: Random, data: bytes) -> bytes:
    """A number of four or eight bytes becomes an extreme."""
    width = rng.choice((4, 8))
    start = rng.randrange(len(data) - width)
    value = rng.choice(EXTREMES) % (1 << 8 * width)
    return data[:start] + value.to_bytes(width, "little") + data[start + width :]


_BYTE_CHANGES = (flip_bits, overwrite, truncate, append, move_bytes, inflate_number)


# --- Changes to chunks -----------------------------------------------------------------------


def damage_payload(rng: Random, chunks: Chunks, other: Chunks) -> Chunks:  # noqa: ARG001
    """A byte change inside one payload."""
    at = rng.choice([i for i, (_, payload) in enumerate(chunks) if len(payload) > 8])
    tag, payload = chunks[at]
    changed = rng.choice(_BYTE_CHANGES)(rng, payload)
    return [*chunks[:at], (tag, changed), *chunks[at + 1 :]]


def damage_head(rng: Random, chunks: Chunks, other: Chunks) -> Chunks:  # noqa: ARG001
    """A byte change inside the first chunk: counts, sizes, kinds."""
    tag, payload = chunks[0]
    return (
        [(tag, rng.choice(_BYTE_CHANGES)(rng, payload)), *chunks[1:]]
        if len(payload) > 8
        else chunks
    )


def damage_start_of_stream(rng: Random, chunks: Chunks, other: Chunks) -> Chunks:  # noqa: ARG001
    """Another attribute, block, or first words of a stream."""
    at = rng.choice([i for i, (_, payload) in enumerate(chunks) if len(payload) > 8])
    tag, payload = chunks[at]
    changed = rng.choice((flip_bits, overwrite, inflate_number))(rng, payload[:24])
    return [*chunks[:at], (tag, changed + payload[24:]), *chunks[at + 1 :]]


def delete_chunk(rng: Random, chunks: Chunks, other: Chunks) -> Chunks:  # noqa: ARG001
    """One chunk is missing."""
    at = rng.randrange(len(chunks))
    return chunks[:at] + chunks[at + 1 :] if len(chunks) > 2 else chunks


def duplicate_chunk(rng: Random, chunks: Chunks, other: Chunks) -> Chunks:  # noqa: ARG001
    """One chunk is there twice."""
    at = rng.randrange(len(chunks))
    return [*chunks[: at + 1], chunks[at], *chunks[at + 1 :]]


def swap_chunks(rng: Random, chunks: Chunks, other: Chunks) -> Chunks:  # noqa: ARG001
    """Two chunks change places."""
    changed = list(chunks)
    a, b = rng.randrange(len(chunks)), rng.randrange(len(chunks))
    changed[a], changed[b] = changed[b], changed[a]
    return changed


def splice_chunk(rng: Random, chunks: Chunks, other: Chunks) -> Chunks:
    """One chunk comes from another file."""
    at = rng.randrange(len(chunks))
    same_tag = [c for c in other if c[0] == chunks[at][0]]
    return [*chunks[:at], rng.choice(same_tag or other), *chunks[at + 1 :]]


def insert_unknown(rng: Random, chunks: Chunks, other: Chunks) -> Chunks:  # noqa: ARG001
    """A chunk that no version defines."""
    at = rng.randrange(len(chunks))
    new = (rng.choice((b"what", b"What", b"fill", b"xtra")), rng.randbytes(rng.choice((0, 9))))
    return [*chunks[:at], new, *chunks[at:]]


def nest_meta(rng: Random, chunks: Chunks, other: Chunks) -> Chunks:  # noqa: ARG001
    """Notes that hurt a naive reader of JSON."""
    text = rng.choice(BAD_NOTES)
    return [chunks[0], (b"meta", text), *(c for c in chunks[1:] if c[0] != b"meta")]


_CHUNK_CHANGES = (
    damage_payload,
    damage_payload,
    damage_head,
    damage_head,
    damage_start_of_stream,
    delete_chunk,
    duplicate_chunk,
    swap_chunks,
    splice_chunk,
    insert_unknown,
    nest_meta,
)
