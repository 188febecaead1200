"""Bad bytes give one clear line, never a traceback, a wrong scene or a full memory."""

from __future__ import annotations

import re
import struct
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

import fuzz
import fuzzing
from gscodec import codec
from gscodec.container import inspect, unpack
from gscodec.errors import FormatError, GscodecError, UnsupportedError
from gscodec.scene import ExtraProperty
from scenes import make_scene

GOOD = codec.encode_with_report(make_scene(4, 0), "raw", meta={"source": "test"}).data
CHUNKS = fuzzing.split(GOOD)


def _refusal(data: bytes) -> GscodecError:
    with pytest.raises((FormatError, UnsupportedError)) as refused:
        codec.decode(data)
    assert "\n" not in str(refused.value)
    return refused.value


def test_every_truncation_is_refused() -> None:
    """No prefix of a file decodes, and all but the empty one are called truncated."""
    for end in range(1, len(GOOD)):
        with pytest.raises(FormatError, match=r"truncated|past the end of the file"):
            unpack(GOOD[:end])


def test_every_changed_byte_is_refused() -> None:
    """One flipped bit anywhere, envelopes and reserved fields included, is noticed."""
    for at in range(len(GOOD)):
        changed = bytearray(GOOD)
        changed[at] ^= 1 << (at % 8)
        with pytest.raises(GscodecError):
            inspect(bytes(changed))


def test_mutations_are_refused_or_harmless() -> None:
    """A small sample of what tests/fuzz.py does, sealed mutations included."""
    samples = fuzz.exact_samples()
    samples += [fuzzing.Sample.of(path.read_bytes()) for path in fuzz.vectors()]
    kinds = set()
    for number in range(1000):
        mutation = fuzzing.mutate(samples, number)
        kinds.add((mutation.kind, mutation.sealed))
        assert fuzzing.problem_with(mutation, samples) is None, mutation
    assert len(kinds) > 50


def test_hostile_symbols_are_refused_or_harmless() -> None:
    """A small sample of what tests/fuzz.py does with the grammar; streams and digest are sound."""
    scene = replace(make_scene(30, 1), extras=(ExtraProperty("a", np.arange(30, dtype="i2")),))
    files = [codec.encode(scene, "raw")]
    files += [path.read_bytes() for path in fuzz.vectors()]
    samples = [fuzzing.Sample.of(data) for data in files]
    outcomes = set()
    for number in range(1, 200, 2):
        mutation = fuzz.mutate(samples, number)
        assert fuzzing.problem_with(mutation, samples) is None, mutation
        try:
            digest = codec.decode(mutation.data).digest()
        except GscodecError as error:
            outcomes.add(re.sub(r"[0-9]+", "", str(error)))
        else:
            outcomes.add("another scene" if digest != samples[0].digest else "the same")
    assert "another scene" in outcomes
    assert len(outcomes) > 10


MAGIC_CASES = [
    (b"", "empty, expected a .gsz file"),
    (b"\x89GSZ\r", "ends after 5 bytes, inside the magic number; truncated"),
    (GOOD[:11], "ends after 11 bytes, inside the preamble; truncated"),
    (b"ply\nformat ascii 1.0\n", "found a .ply file; encode it first"),
    (b"\x1f\x8b\x08\x00", "found a gzip file (an .spz scene, perhaps)"),
    (b"NGSP\x04\x00\x00\x00", "found an .spz file"),
    (b"PK\x03\x04\x14\x00", "found a zip file (an .sog scene, perhaps)"),
    (b"glTF\x02\x00\x00\x00", "found a binary glTF file"),
    (b"hello, world", "found unknown bytes 68 65 6c 6c 6f 2c 20 77"),
]


@pytest.mark.parametrize(("data", "text"), MAGIC_CASES, ids=[text for _, text in MAGIC_CASES])
def test_other_files_are_recognised(data: bytes, text: str) -> None:
    """The error says what the file is instead."""
    assert text in str(_refusal(data))


TEXT_TRANSFERS = {
    "carriage returns removed": GOOD.replace(b"\r\n", b"\n"),
    "carriage returns added": GOOD.replace(b"\n", b"\r\n"),
    "eighth bit cleared": bytes(byte & 0x7F for byte in GOOD),
    "recoded as UTF-8": GOOD.decode("latin-1").encode("utf-8"),
}


@pytest.mark.parametrize("damage", TEXT_TRANSFERS)
def test_text_transfer_is_recognised(damage: str) -> None:
    """The magic number shows what text transfers do to a binary file."""
    assert "copy the file again in binary mode" in str(_refusal(TEXT_TRANSFERS[damage]))


def test_future_version_is_named() -> None:
    """Version 2 is unsupported, not broken."""
    data = GOOD[:8] + b"\x02\x00" + GOOD[10:]
    assert str(_refusal(data)) == "file: version 2; this gscodec reads version 1"


def test_reserved_flags_are_refused() -> None:
    """The flags of the preamble are spare: "reserved, must be zero"."""
    data = GOOD[:10] + b"\x00\x80" + GOOD[12:]
    assert "flags at byte 10: found 0x8000, expected 0" in str(_refusal(data))


def test_chunk_from_another_file_is_noticed() -> None:
    """A chunk that is right by itself does not fit the seal of this file."""
    other = fuzzing.split(codec.encode(make_scene(4, 0, seed=1), "raw"))
    spliced = [*CHUNKS[:3], other[2], *CHUNKS[4:]]
    assert "SHA-256 of the bytes before it" in str(_refusal(fuzzing.join(spliced, GOOD)))


def test_wrong_scene_behind_right_checksums_is_noticed() -> None:
    """Sealed again by an attacker, the scene's own digest still tells."""
    other = fuzzing.split(codec.encode(make_scene(4, 0, seed=1), "raw"))
    assert [tag for tag, _ in CHUNKS[:3]] == [b"HEAD", b"meta", b"STRM"]
    data = fuzzing.seal([*CHUNKS[:2], other[2], *CHUNKS[3:]])
    assert "decoded scene: SHA-256" in str(_refusal(data))


HUGE = 2**63


@pytest.mark.parametrize("at", [12 + 4, 12 + 16 + 136 + 4])
def test_absurd_length_allocates_nothing(at: int) -> None:
    """A declared length of 2**63 bytes is compared with the file, not asked for."""
    data = GOOD[:at] + struct.pack("<Q", HUGE) + GOOD[at + 8 :]
    tracemalloc.start()
    text = str(_refusal(data))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert f"length {HUGE} runs past the end of the file ({len(GOOD)} bytes)" in text
    assert peak < 10**6


STRUCTURE_CASES = [
    ([], "file: ends at byte 12 without a DONE chunk; truncated"),
    (CHUNKS[1:], "chunk meta at byte 12: expected HEAD as the first chunk"),
    ([(b"note", b""), *CHUNKS], "chunk note at byte 12: expected HEAD as the first chunk"),
    ([CHUNKS[0], *CHUNKS], "chunk HEAD at byte 164: second one, the first is at byte 12"),
    ([*CHUNKS[:2], CHUNKS[1], *CHUNKS[2:]], "second one, the first is at byte 164"),
    ([CHUNKS[0], CHUNKS[2], CHUNKS[1], *CHUNKS[3:]], "must not follow chunk STRM"),
    ([*CHUNKS[:3], CHUNKS[2], *CHUNKS[3:]], "stream POSITION, block 0: found twice"),
    ([*CHUNKS[:2], *CHUNKS[3:]], "stream POSITION, block 0: missing"),
    ([*CHUNKS[:-2], CHUNKS[-1]], "says INDX is at byte 0"),
    (CHUNKS[:-1], "without a DONE chunk; truncated"),
    ([*CHUNKS, CHUNKS[2]], "after the DONE chunk"),
    ([*CHUNKS[:-1], (b"note", b""), CHUNKS[-1]], "but the chunk before it is chunk note"),
    ([*CHUNKS[:-2], (b"fill", b"\0\1"), *CHUNKS[-2:]], "holds data, expected zeros"),
    ([CHUNKS[0], (b"1234", b""), *CHUNKS[1:]], "tag 31 32 33 34 is not four letters"),
    ([(b"HEAD", CHUNKS[0][1][:-1]), *CHUNKS[1:]], "HEAD: 135 bytes, expected 136"),
    ([*CHUNKS[:2], (b"STRM", b"\3\0\0"), *CHUNKS[2:]], "3 bytes, expected at least 5"),
    ([*CHUNKS[:2], (b"STRM", b"\x20\0\0\0\0"), *CHUNKS[2:]], "attribute 32 does not belong"),
    ([*CHUNKS[:-2], (b"xtra", b"\3\0\0\0\0"), *CHUNKS[-2:]], "attribute 3 does not belong"),
    ([*CHUNKS[:2], (b"STRM", b"\x1f\0\0\0\0"), *CHUNKS[2:]], "attribute 31 is unknown"),
]


@pytest.mark.parametrize(
    ("chunks", "text"), STRUCTURE_CASES, ids=[text for _, text in STRUCTURE_CASES]
)
def test_structure_is_checked_behind_right_checksums(chunks: fuzzing.Chunks, text: str) -> None:
    """Missing, repeated, moved and malformed chunks, each with its own words."""
    assert text in str(_refusal(fuzzing.seal(chunks)))


META_CASES: list[tuple[bytes, str]] = [
    (b"[" * 10**5, "found 100000 levels of nesting, expected at most 32"),
    (b'{"a":' * 32 + b"{}" + b"}" * 32, "found 33 levels of nesting"),
    (b'{"a":[' + b"{}," * 2**15 + b"{}]}", "values, expected at most 65536"),
    (b'{"a":"' + b'\\"' * 2**19, "1048582 bytes, expected at most 1048576"),
    (b'{"a":"' + b'\\"' * 10**5, "text at byte 5 does not end"),
    (b'{"a":NaN}', "found NaN, expected a number"),
    (b'{"a":1e999}', "Out of range"),
    (b'{"a":' + b"9" * 65 + b"}", "number of 65 characters, expected at most 64"),
    (b'{"a":' + b"9" * 5000 + b"}", "number of 5000 characters, expected at most 64"),
    (b'{"a":"\\ud800"}', "surrogates not allowed"),
    (b'{"a":"\xff"}', "can't decode byte"),
    (b"[]", "found a list, expected an object"),
    (b"", "Expecting value"),
]


@pytest.mark.parametrize(("text", "problem"), META_CASES, ids=[text for _, text in META_CASES])
def test_damaged_notes_are_told_and_do_no_harm(text: bytes, problem: str) -> None:
    """A scene decodes whatever its notes are; inspect says what is wrong with them."""
    data = fuzzing.seal([CHUNKS[0], (b"meta", text), *CHUNKS[2:]])
    assert codec.decode(data).digest() == codec.decode(GOOD).digest()
    found = inspect(data)
    assert found.meta == {}
    assert found.meta_problem is not None
    assert found.meta_problem.startswith("chunk meta at byte 164: ")
    assert problem in found.meta_problem
    assert found.to_json()["meta_problem"] == found.meta_problem


def test_notes_at_their_limits_are_read() -> None:
    """As deep, as many and as long as the specification allows; brackets in texts do not count."""
    deep = b'{"a":' * 31 + b"[1]" + b"}" * 31
    many = b'{"a":[' + b"1," * (2**16 - 3) + b'"[{,\\"]}"]}'
    long = b'{"a":' + b"9" * 64 + b"}"
    for text in (deep, many, long):
        found = inspect(fuzzing.seal([CHUNKS[0], (b"meta", text), *CHUNKS[2:]]))
        assert found.meta_problem is None
        assert list(found.meta) == ["a"]


def _peak(data: bytes) -> int:
    """Bytes that it takes to find out what ``data`` is."""
    tracemalloc.start()
    try:
        codec.decode(data)
    except FormatError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak


def test_unknown_chunks_are_not_kept() -> None:
    """Whatever stands in optional chunks of later versions, and however many there are."""
    often = fuzzing.seal([CHUNKS[0], *[(b"note", b"")] * 20_000, *CHUNKS[1:]])
    large = fuzzing.seal([CHUNKS[0], (b"note", bytes(10**6)), *CHUNKS[1:]])
    codec.decode(GOOD)  # what is made once
    usual = _peak(GOOD)
    assert _peak(often) < usual + 10**5
    assert _peak(large) < usual + 10**5


def test_more_streams_than_blocks_need_are_refused_early() -> None:
    """Sixteen for each block at most, before something is made of each."""
    many = [(b"STRM", struct.pack("<BI", 3, n)) for n in range(20_000)]
    data = fuzzing.seal([*CHUNKS[:2], *many, *CHUNKS[-2:]])
    assert "found 20000 STRM chunks, expected at most 16" in str(_refusal(data))
    assert _peak(data) < 8 * len(data)
    extras = [(b"xtra", struct.pack("<BI", 32, n)) for n in range(1025)]
    data = fuzzing.seal([*CHUNKS[:-2], *extras, *CHUNKS[-2:]])
    assert "found 1025 extra properties, expected at most 1024" in str(_refusal(data))


def test_index_that_disagrees_is_refused() -> None:
    """Every field of every entry must fit the chunk it points at."""
    at = [tag for tag, _ in CHUNKS].index(b"INDX")
    index = CHUNKS[at][1]
    for byte in range(len(index)):
        wrong = bytearray(index)
        wrong[byte] ^= 1
        data = fuzzing.seal([*CHUNKS[:at], (b"INDX", bytes(wrong)), CHUNKS[-1]], reindex=False)
        with pytest.raises(FormatError, match="do not agree with the 5 STRM chunks"):
            unpack(data)
