"""The .ksplat of mkkellogg/GaussianSplats3D: bytes <-> scene.

Read and written here: gaussforge 0.6 takes positions of compressed levels for signed numbers and
rows for padded ones, and has SH in another order. Source: ``SplatBuffer.js`` of that project.

Layout, little endian: a header of 4096 bytes, 1024 bytes for each section, then the sections. A
section has the sizes of its partly filled buckets, the centres of all buckets, and a row for
each Gaussian. Level 0 holds floats; in levels 1 and 2 positions count steps from the centre of
the bucket, other values are halves, and SH of level 2 bytes. SH are ordered by degree, within a
degree by channel.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gscodec.colours import SH_CONSTANT
from gscodec.errors import SceneError
from gscodec.interchange.forge import without_infinities
from gscodec.scene import GaussianScene, sh_rest_count

if TYPE_CHECKING:
    from numpy.typing import NDArray

_HEADER, _SECTION = 4096, 1024
_SH_BOUND = 1.5  # of level 2, where the header says nothing
_STEPS = 32767  # from the centre of a bucket to its side, where the section says nothing
_DEGREES = 2
_LEVELS = ("<f4", "<f4", "<f4"), ("<u2", "<f2", "<f2"), ("<u2", "<f2", "u1")
_LEAST_SCALE = np.float32(1e-38)


@dataclass(frozen=True)
class _Section:
    """One section's header, and where its parts are."""

    count: int
    degree: int
    steps: int  # from a centre to a side of its bucket
    step: float  # scene units
    sizes: NDArray[np.int64]  # (buckets,) Gaussians in each
    centers: NDArray[np.float32]  # (buckets, 3)
    rows: NDArray[Any]
    end: int


def decode_ksplat(data: bytes, name: str) -> GaussianScene:
    """Reads a .ksplat of any level.

    Raises:
        SceneError: It is damaged, or of a version or degree that is not known.
    """
    if len(data) < _HEADER:
        raise SceneError(f"{name}: truncated: found {len(data)} bytes of a header of {_HEADER}")
    major, minor, sections = struct.unpack_from("<BB2xI", data)
    (level,) = struct.unpack_from("<H", data, 20)
    if (major, minor) != (0, 1) or level >= len(_LEVELS):
        raise SceneError(
            f"{name}: found version {major}.{minor}, level {level}, expected a .ksplat of "
            "version 0.1 and level 0 to 2"
        )
    at = _HEADER + _SECTION * sections
    if at > len(data):
        raise SceneError(f"{name}: truncated: {sections} sections in {len(data)} bytes")
    found = []
    for number in range(sections):
        found.append(_section(data, number, level, at, name))
        at = found[-1].end
    if not any(section.count for section in found):
        raise SceneError(f"{name}: found no Gaussians")
    arrays = _joined(found, level, struct.unpack_from("<2f", data, 36))
    return GaussianScene(**arrays, extras=(), has_normals=False, antialiased=False, origin=None)


def encode_ksplat(scene: GaussianScene) -> bytes:
    """Inverse of `decode_ksplat`, at level 0; quaternions must be normalised.

    Args:
        scene: Of SH degree 2 at most.
    """
    count, degree = len(scene), scene.sh_degree
    rows = np.zeros(count, _row(0, degree))
    rows["mean"], rows["quat"] = scene.means, scene.quats
    rows["scale"] = np.exp(scene.log_scales)
    rows["color"][:, :3] = _bytes(scene.sh_dc.astype(np.float64) * SH_CONSTANT + 0.5)
    rows["color"][:, 3] = _bytes(1 / (1 + np.exp(-scene.opacity_logits.astype(np.float64))))
    rows["sh"] = scene.sh_rest.reshape(count, -1)[:, np.argsort(_order(degree))]
    header = struct.pack("<BB2x4I", 0, 1, 1, 1, count, count)
    header += struct.pack("<H2x5f", 0, 0, 0, 0, -_SH_BOUND, _SH_BOUND)
    section = struct.pack("<2I20xI8xH", count, count, rows.nbytes, degree)
    return header.ljust(_HEADER, b"\0") + section.ljust(_SECTION, b"\0") + rows.tobytes()


def _row(level: int, degree: int) -> np.dtype[np.void]:
    """The layout of a Gaussian."""
    position, half, harmonic = _LEVELS[level]
    return np.dtype(
        [
            ("mean", position, 3),
            ("scale", half, 3),
            ("quat", half, 4),
            ("color", "u1", 4),
            ("sh", harmonic, (3 * sh_rest_count(degree),)),
        ]
    )


def _order(degree: int) -> NDArray[np.intp]:
    """Where in a row each of (coefficient, channel) is, flattened."""
    places = []
    for start, n in ((0, 3), (9, 5))[:degree]:
        places.append(start + np.arange(n)[:, None] + n * np.arange(3))
    return np.concatenate([np.empty((0, 3), np.intp), *places]).astype(np.intp).ravel()


def _section(data: bytes, number: int, level: int, at: int, name: str) -> _Section:
    """Section ``number``, whose parts begin at byte ``at``."""
    head = _HEADER + _SECTION * number
    count, most, size, buckets = struct.unpack_from("<4I", data, head)
    block, stored, steps, full, partial, degree = struct.unpack_from(
        "<fH2xI4x2IH", data, head + 16
    )
    where = f"{name}: section {number}"
    if degree > _DEGREES or count > most:
        raise SceneError(
            f"{where}: found SH degree {degree} and {count} of {most} Gaussians, expected "
            "degree 0 to 2"
        )
    row = _row(level, degree)
    begin = at + 4 * partial + stored * buckets
    end = begin + most * row.itemsize
    if end > len(data):
        raise SceneError(f"{where}: truncated: ends at byte {end} of {len(data)}")
    steps = steps or _STEPS
    sizes, centers = np.empty(0, np.int64), np.empty((0, 3), np.float32)
    if level:
        tails = np.frombuffer(data, "<u4", partial, at).astype(np.int64)
        if stored != centers.itemsize * 3 or full + partial != buckets or full * size > most:
            raise SceneError(f"{where}: its buckets do not fit together")
        sizes = np.concatenate([np.full(full, size, np.int64), tails])
        centers = np.frombuffer(data, "<f4", 3 * buckets, at + 4 * partial).reshape(-1, 3)
        if sizes.sum() < count or tails.sum() > most:
            raise SceneError(f"{where}: {sizes.sum()} Gaussians in buckets, expected {count}")
    rows = np.frombuffer(data, row, count, begin)
    return _Section(count, degree, steps, block / 2 / steps, sizes, centers, rows, end)


def _joined(
    sections: list[_Section], level: int, bounds: tuple[float, float]
) -> dict[str, NDArray[np.float32]]:
    """The arrays of a scene; a section of a lower degree has zeros for what it lacks."""
    degree = max(section.degree for section in sections)
    parts = [_arrays(section, level, degree, bounds) for section in sections]
    return {field: np.concatenate([part[field] for part in parts]) for field in parts[0]}


@np.errstate(all="ignore")  # values that are not finite are found later
def _arrays(
    section: _Section, level: int, degree: int, bounds: tuple[float, float]
) -> dict[str, NDArray[np.float32]]:
    """Arrays of `GaussianScene` by field."""
    rows = section.rows
    means = rows["mean"].astype(np.float64)
    if level:
        owners = np.repeat(np.arange(len(section.sizes)), section.sizes)[: section.count]
        means = (means - section.steps) * section.step + section.centers[owners]
    sh = rows["sh"].astype(np.float64)
    if level == 2:
        low, high = bounds[0] or -_SH_BOUND, bounds[1] or _SH_BOUND
        sh = sh / 255 * (high - low) + low
    rest = np.zeros((section.count, sh_rest_count(degree), 3))
    rest.reshape(section.count, -1)[:, : sh.shape[1]] = sh[:, _order(section.degree)]
    alphas = rows["color"][:, 3] / 255
    logits = np.log(alphas) - np.log1p(-alphas)
    arrays = {
        "means": means,
        "opacity_logits": without_infinities(logits),
        "log_scales": np.log(np.maximum(rows["scale"].astype(np.float32), _LEAST_SCALE)),
        "quats": rows["quat"],
        "sh_dc": (rows["color"][:, :3] / 255 - 0.5) / SH_CONSTANT,
        "sh_rest": rest,
    }
    return {field: array.astype(np.float32) for field, array in arrays.items()}


def _bytes(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.clip(np.rint(255 * values), 0, 255).astype(np.uint8)
