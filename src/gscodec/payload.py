"""What a method makes and a container carries: a header, streams, and notes for people.

Numbers in the enumerations are wire identities (format-spec.md, registries): they are written
down, never derived, and never change meaning.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, unique
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@unique
class SceneKind(IntEnum):
    """What the primitives of the file are."""

    GAUSSIANS = 1
    ANCHORS = 2


@unique
class Method(IntEnum):
    """How the streams are coded."""

    RAW = 1
    HAC = 2
    HEMGS = 3
    RALHE = 4
    PREDICT_GS = 5


PRIOR_NAME_BYTES = 16  # of a SHA-256: how a file names networks that it refers to


@unique
class Attribute(IntEnum):
    """What the bits of a stream are spent on."""

    NETWORKS = 1
    GRID = 2
    POSITION = 3
    OPACITY = 4
    SCALE = 5
    ROTATION = 6
    SH_DC = 7
    SH_1 = 8
    SH_2 = 9
    SH_3 = 10
    MASK = 11
    FEATURE = 12
    SCALING = 13
    OFFSET = 14
    RENDERING = 15
    CHECKPOINT = 16
    OUTLIER = 17
    LATENT = 18
    BASIS = 19
    DISPLACEMENT = 20
    PRIOR = 21
    EXTRA = 32


@dataclass(frozen=True)
class Stream:
    """One run of coded bytes.

    Attributes:
        attribute: What it holds.
        block: Spatial block along the Morton curve, 0 for streams of the whole scene.
        data: The coded bytes; their layout is the method's.
    """

    attribute: Attribute
    block: int
    data: bytes


@dataclass(frozen=True)
class Header:
    """What a reader needs before the first stream.

    Attributes:
        kind: Gaussians or anchors.
        method: How the streams are coded.
        count: Number of primitives, N.
        sh_degree: 0 to 3.
        has_normals: Whether a written .ply gets zero columns nx, ny, nz.
        block_size: Primitives per spatial block.
        position_bits: Octree depth, 1 to 21; 0 where positions are not on a lattice.
        lattice_origin: Centre of lattice cell (0, 0, 0), scene units.
        lattice_step: Edge of a lattice cell, scene units.
        bounds_min: Smallest coordinate per axis of the decoded positions, scene units.
        bounds_max: Largest coordinate per axis of the decoded positions, scene units.
        scene_sha256: ``digest()`` of the scene that a decoder must produce.
    """

    kind: SceneKind
    method: Method
    count: int
    sh_degree: int
    has_normals: bool
    block_size: int
    position_bits: int
    lattice_origin: tuple[float, float, float]
    lattice_step: float
    bounds_min: tuple[float, float, float]
    bounds_max: tuple[float, float, float]
    scene_sha256: bytes


@dataclass(frozen=True)
class Conventions:
    """What a program that draws or writes Gaussians may need besides their arrays.

    Attributes:
        antialiased: As `gscodec.scene.GaussianScene.antialiased`.
        origin: As `gscodec.scene.GaussianScene.origin`.
    """

    antialiased: bool = False
    origin: tuple[float, float, float] | None = None


_ENVELOPE = 40  # bytes around the data of a stream, about


def weight(streams: Iterable[Stream]) -> int:
    """Bytes that ``streams`` take in a file, about."""
    return sum(_ENVELOPE + len(stream.data) for stream in streams)


@dataclass(frozen=True)
class Payload:
    """Everything in a file: ``pack(payload)`` makes the bytes, ``unpack(bytes)`` gives it back.

    Attributes:
        header: What a reader needs.
        streams: In coding order.
        meta: JSON values for people (settings, encoder version, source, conventions, report).
            A decoder never needs it.
        conventions: Of Gaussians; the default for anchors.
    """

    header: Header
    streams: tuple[Stream, ...]
    meta: dict[str, object] = field(default_factory=dict)
    conventions: Conventions = Conventions()
