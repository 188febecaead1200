"""SPZ: bytes <-> scene, with what gaussforge 0.6 leaves out.

* Axes. SPZ is right, up, back; a 3DGS .ply right, down, front (nianticlabs/spz, README,
  "Coordinate System"). gaussforge copies values as they are; here y and z change their sign.
* The flag of antialiased scenes (byte 14 of the header), which it drops.
* The range of positions, beyond which its fixed point numbers wrap around.
"""

from __future__ import annotations

import gzip
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gscodec.errors import CannotCodeError, SceneError
from gscodec.interchange.forge import read_forged, write_forged
from gscodec.interchange.formats import SPZ

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.scene import GaussianScene

_MAGIC = b"NGSP"
_GZIP = b"\x1f\x8b"
_VERSIONS = (1, 2, 3, 4)
_FLAGS, _ANTIALIASED = 14, 1
_HEADER_BYTES = 16
# Of a Gaussian: position, opacity, colour, scale, rotation, and SH of degree 0 to 3 or more.
_LEAST_BYTES, _MOST_BYTES = 19, 20 + 72
_PIECE = 1 << 20
# What half a turn around x does to y and z, to x, y, z of a quaternion, and to each SH
# function: the sign of the polynomial that it is.
_AXES = np.array([1, -1, -1], np.float32)
_SH = np.array([-1, -1, 1, -1, 1, 1, -1, 1, -1, 1, -1, -1, 1, -1, 1], np.float32)


def decode_spz(data: bytes, name: str = "decoded SPZ") -> GaussianScene:
    """A .spz of version 1 to 4, in the axes of a .ply.

    Raises:
        SceneError: It is damaged, or no SPZ file.
        ModuleNotFoundError: gaussforge is not installed.
    """
    header = _header(data, name)
    if data.startswith(_GZIP):
        _check_unpacked(data, int.from_bytes(header[8:12], "little"), name)
    scene = _turned(read_forged(data, SPZ.name, name))
    return replace(scene, antialiased=bool(header[_FLAGS] & _ANTIALIASED))


def encode_spz(scene: GaussianScene, version: int = 3) -> bytes:
    """Inverse of `decode_spz`, with the default bits of gaussforge, which offers no others.

    Raises:
        CannotCodeError: There is no Gaussian, a position is out of range, or gaussforge cannot, for the reason given.
        ModuleNotFoundError: gaussforge is not installed.
    """
    if not len(scene):
        raise CannotCodeError(".spz: found no Gaussians; it cannot be empty")
    farthest = float(np.abs(scene.means).max(initial=0))
    if farthest > SPZ.position:
        raise CannotCodeError(
            f".spz: found a coordinate of {farthest:.6g}, expected at most {SPZ.position:.6g}; "
            "its fixed point numbers hold no more"
        )
    turned = _turned(replace(scene, quats=normalised(scene.quats), extras=()))
    data = write_forged(turned, SPZ.name, version)
    return _flagged(data) if scene.antialiased else data


def normalised(quats: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, 4) quaternions of length 1; gaussforge takes them as such."""
    lengths = np.linalg.norm(quats.astype(np.float64), axis=1, keepdims=True)
    unit: NDArray[np.float32] = (quats / np.maximum(lengths, 1e-12)).astype(np.float32)
    return unit


def _turned(scene: GaussianScene) -> GaussianScene:
    """Half a turn around x, which is its own inverse."""
    quats = scene.quats * np.concatenate([[np.float32(1)], _AXES])
    sh = scene.sh_rest * _SH[: scene.sh_rest.shape[1], None]
    return replace(scene, means=scene.means * _AXES, quats=quats, sh_rest=sh)


def _header(data: bytes, name: str) -> bytes:
    """The first bytes, unpacked.

    Raises:
        SceneError: It is something else, or of a version that is not known.
    """
    header = data[:_HEADER_BYTES]
    if data.startswith(_GZIP):
        try:
            header = zlib.decompressobj(31).decompress(data, _HEADER_BYTES)
        except zlib.error as error:
            raise SceneError(f"{name}: damaged gzip data: {error}") from error
    if not header.startswith(_MAGIC) and data.startswith(_GZIP):
        raise SceneError(
            f"{name}: is compressed with gzip, and no SPZ file; run 'gunzip' first"
        )
    if len(header) < _HEADER_BYTES:
        raise SceneError(f"{name}: truncated: found {len(header)} bytes of the header")
    version = int.from_bytes(header[4:8], "little")
    if version not in _VERSIONS:
        raise SceneError(f"{name}: found SPZ version {version}, expected 1 to 4")
    return header


def _check_unpacked(data: bytes, count: int, name: str) -> None:
    """Whether ``data`` unpacks to ``count`` Gaussians, about: gaussforge unpacks without a limit.

    Raises:
        SceneError: To more or less, or it is damaged.
    """
    least, most = (_HEADER_BYTES + count * each for each in (_LEAST_BYTES, _MOST_BYTES))
    unpacker, size, rest = zlib.decompressobj(31), 0, data
    try:
        while rest and not unpacker.eof and size <= most:
            size += len(unpacker.decompress(rest, _PIECE))
            rest = unpacker.unconsumed_tail
    except zlib.error as error:
        raise SceneError(f"{name}: damaged gzip data: {error}") from error
    if not (unpacker.eof and least <= size <= most):
        found = f"{size} bytes" if unpacker.eof else f"{size} bytes and no end"
        raise SceneError(
            f"{name}: found {found} unpacked, expected {least} to {most} for {count} Gaussians"
        )


def _flagged(data: bytes) -> bytes:
    """``data`` with the flag of antialiased scenes."""
    packed = data.startswith(_GZIP)
    plain = bytearray(gzip.decompress(data) if packed else data)
    plain[_FLAGS] |= _ANTIALIASED
    return gzip.compress(bytes(plain), mtime=0) if packed else bytes(plain)
