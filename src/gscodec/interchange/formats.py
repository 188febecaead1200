"""What each format of others can hold; a format is known by the suffix of its files."""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib.util import find_spec

from gscodec.colours import SH_CONSTANT
from gscodec.sceneio.foreign import Kind, kind_of, names_in_header

_INF = math.inf
_BYTE_COLOR = 0.5 / SH_CONSTANT  # of f_dc, where a colour is a byte from 0 to 1


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        suffix: Of its files.
        degree: SH degree at most.
        position: Largest magnitude of a coordinate, scene units.
        log_scale: Least and largest.
        color: Largest magnitude of ``f_dc``.
        sh: Least and largest of ``f_rest``.
        rounds: What writing rounds, in words.
        package: What must be installed, or None.
    """

    suffix: str
    degree: int
    position: float
    log_scale: tuple[float, float]
    color: float
    sh: tuple[float, float]
    rounds: str
    package: str | None = "gaussforge"

    @property
    def name(self) -> str:
        """The suffix without its dot, as gaussforge calls the format too."""
        return self.suffix[1:]


SPZ = Format(
    ".spz",
    degree=3,
    position=(2**23 - 1) / 4096,
    log_scale=(-10.0, 255 / 16 - 10),
    color=0.5 / 0.15,
    sh=(-1.0, 127 / 128),
    rounds="positions to 1/4096, log-scales to 1/16, rotations to 10 bits, opacities and colours "
    "to 8 bits, SH to 5 and 4 bits",
)
SPLAT = Format(
    ".splat",
    degree=0,
    position=_INF,
    log_scale=(-87.0, 88.0),
    color=_BYTE_COLOR,
    sh=(-_INF, _INF),
    rounds="rotations, opacities and colours to 8 bits",
)
KSPLAT = Format(
    ".ksplat",
    degree=2,
    position=_INF,
    log_scale=(-87.0, 88.0),
    color=_BYTE_COLOR,
    sh=(-_INF, _INF),
    rounds="opacities and colours to 8 bits",
    package=None,
)
COMPRESSED_PLY = Format(
    ".compressed.ply",
    degree=3,
    position=_INF,
    log_scale=(-20.0, 20.0),
    color=_INF,
    sh=(-4.0, 4.0),
    rounds="positions and log-scales to 11 or 10 bits within each 256 Gaussians, rotations to "
    "10 bits, opacities, colours and SH to 8 bits",
)
SOG = Format(
    ".sog",
    degree=3,
    position=_INF,
    log_scale=(-20.0, 20.0),
    color=_INF,
    sh=(-_INF, _INF),
    rounds="positions to 16 bits, rotations to 8 bits, opacities to 8 bits from 1/255 to 254/255, "
    "scales, colours and SH to tables of 256 values each, and reorders the Gaussians",
)
FORMATS = (SPZ, SPLAT, KSPLAT, COMPRESSED_PLY, SOG)


def format_of(path: str) -> Format | None:
    """The format that the suffix of ``path`` names, or None."""
    return next((f for f in FORMATS if path.lower().endswith(f.suffix)), None)


def format_in(data: bytes, path: str) -> Format | None:
    """The format that ``data``, the file ``path``, is in, or None.

    Its first bytes tell; a .splat has none of its own, so there the suffix is believed unless
    they are those of a .ply.
    """
    kind, named = kind_of(data), format_of(path)
    if named in {SPLAT, KSPLAT} and kind in {Kind.OTHER, Kind.GZIP}:
        return named
    if kind is Kind.PLY:
        return COMPRESSED_PLY if b" packed_position" in names_in_header(data) else None
    return {Kind.GZIP: SPZ, Kind.SPZ: SPZ, Kind.ZIP: SOG}.get(kind)


def missing_package(wanted: Format) -> str | None:
    """How to get what ``wanted`` needs and is not installed, or None."""
    if wanted.package is None or find_spec(wanted.package) is not None:
        return None
    return f"{wanted.suffix} needs {wanted.package}; pip install 'gscodec[convert]'"
