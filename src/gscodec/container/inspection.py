"""What is in a file, and what each part of it costs, without decoding a stream."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from gscodec.anchors import SCALINGS
from gscodec.arguments import bytes_given
from gscodec.container import layout
from gscodec.container.checkpoint import blueprint_of
from gscodec.container.chunks import read_chunks
from gscodec.container.meta import read_meta
from gscodec.container.reader import read_payload
from gscodec.methods import name_of
from gscodec.payload import PRIOR_NAME_BYTES, Attribute

if TYPE_CHECKING:
    from gscodec.container.chunks import Chunk
    from gscodec.kinds.blueprint import Blueprint
    from gscodec.payload import Conventions, Header, Payload


@dataclass(frozen=True)
class Row:
    """One line of the account of a file's bytes.

    Attributes:
        name: Lower-case name of the attribute, or ``header``, ``meta``, ``container``.
        attribute: None for the last three.
        chunks: Number of chunks that hold it.
        bytes: Coded bytes, without envelopes and sub-headers (those are ``container``).
        bits_per_primitive: 8 x bytes / count; 0 in an empty scene.
        bits_per_value: Of an anchor's attributes, over all values that the scene has, absent
            offsets too; else None.
        share: Of the file, 0 to 1.
    """

    name: str
    attribute: Attribute | None
    chunks: int
    bytes: int
    bits_per_primitive: float
    bits_per_value: float | None
    share: float


@dataclass(frozen=True)
class Inspection:
    """What `inspect` found. The bytes of ``rows`` add up to ``total_bytes`` exactly.

    Attributes:
        header: What a reader needs before the first stream.
        meta: Notes for people; none if they are damaged.
        meta_problem: What is wrong with them, if anything.
        conventions: Of Gaussians, how they are drawn and where they lie.
        version: Of the format.
        total_bytes: Size of the file.
        rows: Attributes present, by number, then header, meta and container.
        blueprint: Of the checkpoint that anchors are from; None for Gaussians.
        prior: The name of networks that the file refers to; None if it does not.
    """

    header: Header
    meta: dict[str, object]
    meta_problem: str | None
    conventions: Conventions
    version: int
    total_bytes: int
    rows: tuple[Row, ...]
    blueprint: Blueprint | None
    prior: str | None

    def to_json(self) -> dict[str, object]:
        """Everything as plain JSON values: numbers, strings, lists, dicts."""
        header = self.header
        return {
            "version": self.version,
            "total_bytes": self.total_bytes,
            "header": {
                "kind": header.kind.name.lower(),
                "method": name_of(header.method),
                "count": header.count,
                "sh_degree": header.sh_degree,
                "has_normals": header.has_normals,
                "block_size": header.block_size,
                "position_bits": header.position_bits,
                "lattice_origin": list(header.lattice_origin),
                "lattice_step": header.lattice_step,
                "bounds_min": list(header.bounds_min),
                "bounds_max": list(header.bounds_max),
                "scene_sha256": header.scene_sha256.hex(),
            },
            **({} if self.prior is None else {"prior": self.prior}),
            "conventions": asdict(self.conventions),
            **({} if self.blueprint is None else {"checkpoint": _checkpoint(self.blueprint)}),
            "meta": self.meta,
            **({} if self.meta_problem is None else {"meta_problem": self.meta_problem}),
            "rows": [
                {
                    "name": row.name,
                    "chunks": row.chunks,
                    "bytes": row.bytes,
                    "bits_per_primitive": row.bits_per_primitive,
                    "bits_per_value": row.bits_per_value,
                    "share": row.share,
                }
                for row in self.rows
            ],
        }


def inspect(data: bytes) -> Inspection:
    """Reads and checks everything in a file except what the streams mean.

    Raises:
        FormatError: The bytes are damaged.
        UnsupportedError: The file needs something that this version lacks.
    """
    data = bytes_given(data)
    chunks = read_chunks(data)
    payload = read_payload(chunks, len(data))
    blueprint = blueprint_of(payload)
    meta, problem = read_meta([chunk for chunk in chunks if chunk.tag == layout.META])
    return Inspection(
        header=payload.header,
        meta=meta,
        meta_problem=problem,
        conventions=payload.conventions,
        version=layout.VERSION,
        total_bytes=len(data),
        rows=_rows(payload, chunks, len(data), _widths(blueprint)),
        blueprint=blueprint,
        prior=_prior(payload),
    )


def _prior(payload: Payload) -> str | None:
    """Its name in hexadecimal digits."""
    found = [s.data for s in payload.streams if s.attribute is Attribute.PRIOR]
    return found[0][:PRIOR_NAME_BYTES].hex() if found else None


def _checkpoint(blueprint: Blueprint) -> dict[str, object]:
    told = zip(("opacity", "covariance", "color"), blueprint.distances, strict=True)
    return {
        "features": blueprint.features,
        "offsets": blueprint.offsets,
        "has_masks": blueprint.has_masks,
        "storage": blueprint.storage.name.lower(),
        "network_parameters": sum(math.prod(shape) for shape in blueprint.shapes()),
        "has_feature_bank": bool(blueprint.hidden[3]),
        "appearance": list(blueprint.appearance or ()),
        "told_the_distance": [name for name, on in told if on],
        "iteration": blueprint.iteration,
        "description": blueprint.description,
    }


def _widths(blueprint: Blueprint | None) -> dict[Attribute, int]:
    """Values that an anchor has of each attribute; nothing for Gaussians."""
    if blueprint is None:
        return {}
    return {
        Attribute.POSITION: 3,
        Attribute.MASK: blueprint.offsets,
        Attribute.FEATURE: blueprint.features,
        Attribute.SCALING: SCALINGS,
        Attribute.OFFSET: 3 * blueprint.offsets,
    }


def _rows(
    payload: Payload, chunks: list[Chunk], total: int, widths: dict[Attribute, int]
) -> tuple[Row, ...]:
    """The account; what no other row claims is the container's."""

    def row(name: str, attribute: Attribute | None, count: int, size: int) -> Row:
        bits = 8 * size / payload.header.count if payload.header.count else 0.0
        width = None if attribute is None else widths.get(attribute)
        per_value = None if width is None else bits / width
        return Row(name, attribute, count, size, bits, per_value, size / total)

    rows = []
    for attribute in Attribute:
        sizes = [len(s.data) for s in payload.streams if s.attribute == attribute]
        if sizes:
            rows.append(row(attribute.name.lower(), attribute, len(sizes), sum(sizes)))
    for name, tag in (("header", layout.HEAD), ("meta", layout.META)):
        sizes = [chunk.length for chunk in chunks if chunk.tag == tag]
        rows.append(row(name, None, len(sizes), sum(sizes)))
    overhead = total - sum(r.bytes for r in rows)
    rest = {layout.CONVENTIONS, layout.FILL, layout.INDEX, layout.DONE}
    others = sum(chunk.tag in rest for chunk in chunks)
    rows.append(row("container", None, others, overhead))
    return tuple(rows)
