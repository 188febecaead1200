"""What a run takes of memory, told before it starts.

Every number here is measured (`tests/benchmarks/scale.py`, on x86-64 with numpy 2) and rounded
up; docs/scale.md has the table that it is held against.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gscodec.errors import OutOfMemoryError
from gscodec.scene import sh_rest_count

if TYPE_CHECKING:
    from gscodec.payload import Header

_PROGRAM = 120 << 20  # bytes: interpreter, numpy, tables
_BLOCK = 90 << 20  # of a block at work
_POSITION = 120  # of a primitive, while the octree is decoded
_COPIES = 4  # of a scene: read, in order, decoded, verified
_INSTANT, _BLOCK_ENCODED, _INSTANT_EACH = 200 << 20, 100 << 20, 60
_RENDERER = 300 << 20
_EACH = {"instant": 5000, "fast": 2500, "high": 6000}
_CODED = 25  # of a primitive, of what is coded, about


class Footprint(NamedTuple):
    """Bytes at the peak.

    Attributes:
        in_memory: With all arrays in memory.
        on_disk: With those of scenes in scratch files.
        scratch: Of these.
    """

    in_memory: int
    on_disk: int
    scratch: int

    def within(self, most: int) -> bool:
        """Whether arrays can be in memory, of which there are ``most`` bytes.

        Raises:
            OutOfMemoryError: Not even without them.
        """
        if self.on_disk > most:
            raise OutOfMemoryError(
                f"memory: about {_megabytes(self.on_disk)} are needed, with scenes in scratch files; "
                f"found {_megabytes(most)}. Take fewer --threads, a machine with more, or a larger "
                "--max-memory"
            )
        return self.in_memory <= most


def row_bytes(sh_degree: int) -> int:
    """Of a Gaussian in memory, or in a .ply without normals."""
    return 4 * (14 + 3 * sh_rest_count(sh_degree))


def of_decoding(header: Header, threads: int, parts: int = 1) -> Footprint:
    """Of ``header``'s scene, its positions in ``parts``, with so many ``threads``."""
    size = max(1, header.block_size)
    blocks = -(-header.count // size)
    share = min(header.block_size, header.count) / (1 << 16)
    working = int(_BLOCK * share * min(threads, blocks))
    if not header.position_bits:
        parts = 1  # not on a lattice: all of them are held
    held = min(header.count, -(-blocks // parts) * size * min(threads, parts))
    on_disk = _PROGRAM + max(working, _POSITION * held) + _CODED * header.count
    scene = row_bytes(header.sh_degree) * header.count
    return Footprint(on_disk + scene, on_disk, scene)


def of_encoding(
    count: int, sh_degree: int, method: str, effort: str, threads: int
) -> Footprint:
    """Of ``count`` Gaussians, by ``method`` at ``effort`` with so many ``threads``."""
    scene = row_bytes(sh_degree) * count
    if method == "raw":
        whole = _PROGRAM + _COPIES * scene
        return Footprint(whole, whole, 0)
    if effort == "instant":
        share = min(1.0, count / (1 << 16))
        working = int(share * (_INSTANT + _BLOCK_ENCODED * threads))
        on_disk = _PROGRAM + working + _INSTANT_EACH * count
        return Footprint(on_disk + _COPIES * scene, on_disk, _COPIES * scene)
    whole = _PROGRAM + _RENDERER + _EACH[effort] * count
    return Footprint(whole, whole, 0)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
