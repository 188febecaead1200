"""Header <-> the payload of HEAD, with a check of every field."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from gscodec.container import layout
from gscodec.errors import FormatError, UnsupportedError
from gscodec.methods import name_of
from gscodec.payload import Header, Method, SceneKind


@dataclass(frozen=True)
class _Raw:
    """The values of HEAD as `layout.HEAD_STRUCT` gives them."""

    kind: int
    method: int
    sh_degree: int
    position_bits: int
    flags: int
    reserved: bytes
    block_size: int
    count: int
    lattice_step: float
    origin_x: float
    origin_y: float
    origin_z: float
    min_x: float
    min_y: float
    min_z: float
    max_x: float
    max_y: float
    max_z: float
    scene_sha256: bytes


def write_header(header: Header) -> bytes:
    """The payload of HEAD.

    Raises:
        FormatError: If a reader would refuse it.
    """
    payload = layout.HEAD_STRUCT.pack(
        header.kind,
        header.method,
        header.sh_degree,
        header.position_bits,
        layout.FLAG_HAS_NORMALS if header.has_normals else 0,
        b"",
        header.block_size,
        header.count,
        header.lattice_step,
        *header.lattice_origin,
        *header.bounds_min,
        *header.bounds_max,
        header.scene_sha256,
    )
    read_header(payload)
    return payload


def read_header(payload: bytes | memoryview) -> Header:
    """Inverse of `write_header`.

    Raises:
        FormatError: A field breaks its rule.
        UnsupportedError: A scene kind or a method without a name in this version.
    """
    if len(payload) != layout.HEAD_STRUCT.size:
        raise FormatError(f"HEAD: {len(payload)} bytes, expected {layout.HEAD_STRUCT.size}")
    raw = _Raw(*layout.HEAD_STRUCT.unpack(payload))
    _check_enums(raw)
    _check_integers(raw)
    _check_floats(raw)
    return Header(
        kind=SceneKind(raw.kind),
        method=Method(raw.method),
        count=raw.count,
        sh_degree=raw.sh_degree,
        has_normals=bool(raw.flags & layout.FLAG_HAS_NORMALS),
        block_size=raw.block_size,
        position_bits=raw.position_bits,
        lattice_origin=(raw.origin_x, raw.origin_y, raw.origin_z),
        lattice_step=raw.lattice_step,
        bounds_min=(raw.min_x, raw.min_y, raw.min_z),
        bounds_max=(raw.max_x, raw.max_y, raw.max_z),
        scene_sha256=raw.scene_sha256,
    )


def _place(name: str) -> str:
    """A field in the words of error messages."""
    start = layout.PREAMBLE.size + layout.ENVELOPE.size
    return f"HEAD, {name} at byte {start + layout.head_offset(name)}"


def _check_enums(raw: _Raw) -> None:
    kinds = {kind.value: kind.name.lower() for kind in SceneKind}
    for name, value, names in (
        ("kind", raw.kind, kinds),
        ("method", raw.method, {method.value: name_of(method) for method in Method}),
    ):
        if value not in names:
            known = ", ".join(f"{number} ({n})" for number, n in names.items())
            raise UnsupportedError(
                f"{_place(name)}: {name} {value}; this gscodec knows {known}"
            )


def _check_integers(raw: _Raw) -> None:
    # "A decoder MUST reject a file whose reserved bits are not zero."
    if raw.flags & ~layout.FLAG_HAS_NORMALS or any(raw.reserved):
        raise FormatError(f"{_place('flags')}: reserved bits are set, expected zeros")
    # "Anchors have no SH coefficients and no normals."
    if raw.kind == SceneKind.ANCHORS and (raw.sh_degree or raw.flags):
        raise FormatError(
            f"{_place('sh_degree')}: found SH degree {raw.sh_degree} and flags {raw.flags}, "
            "expected zeros for anchors"
        )
    for name, value, low, high in (
        ("sh_degree", raw.sh_degree, 0, layout.MAX_SH_DEGREE),
        ("position_bits", raw.position_bits, 0, layout.MAX_POSITION_BITS),
        ("block_size", raw.block_size, 1, layout.MAX_BLOCK_SIZE),
    ):
        if not low <= value <= high:
            raise FormatError(f"{_place(name)}: found {value}, expected {low} to {high}")
    # "A file of more than 16 blocks MUST have a block_size of at least 4096."
    blocks = -(-raw.count // raw.block_size)
    if blocks > layout.MAX_SMALL_BLOCKS and raw.block_size < layout.MIN_BLOCK_SIZE:
        raise FormatError(
            f"{_place('block_size')}: found {raw.block_size} in {blocks} blocks, expected at "
            f"least {layout.MIN_BLOCK_SIZE} in more than {layout.MAX_SMALL_BLOCKS}"
        )


def _check_floats(raw: _Raw) -> None:
    low, high = (raw.min_x, raw.min_y, raw.min_z), (raw.max_x, raw.max_y, raw.max_z)
    origin = (raw.origin_x, raw.origin_y, raw.origin_z)
    if not all(map(isfinite, (raw.lattice_step, *origin, *low, *high))):
        raise FormatError(f"{_place('lattice_step')}: infinity or NaN in it or after it")
    if raw.lattice_step < 0 or (raw.lattice_step > 0) != (raw.position_bits > 0):
        raise FormatError(
            f"{_place('lattice_step')}: found {raw.lattice_step} with position_bits "
            f"{raw.position_bits}, expected both zero or both positive"
        )
    if any(a > b for a, b in zip(low, high, strict=True)):
        raise FormatError(f"{_place('bounds_min')}: found {low}, above bounds_max {high}")
    if not any(raw.scene_sha256):
        raise FormatError(f"{_place('scene_sha256')}: all zeros, expected a digest")
