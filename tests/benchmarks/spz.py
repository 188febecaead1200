"""SPZ by gaussforge, as a command: spz.py encode < scene.ply > scene.spz, or decode."""

import os
import sys
from dataclasses import replace

import numpy as np
from gaussforge import GaussForge

from gscodec import read_ply, write_ply

SPZ_VERSION = 4


def encode(ply: bytes) -> bytes:
    """Quaternions are normalised first: gaussforge takes them as unit length."""
    scene = read_ply(ply).scene
    lengths = np.linalg.norm(scene.quats, axis=1, keepdims=True)
    unit = replace(scene, quats=scene.quats / np.maximum(lengths, np.float32(1e-12)))
    return convert(write_ply(unit), "ply", "spz")


def decode(spz: bytes) -> bytes:
    """Inverse of `encode`."""
    return convert(spz, "spz", "ply")


def convert(data: bytes, old: str, new: str) -> bytes:
    """As `GaussForge.convert`, which reports errors by leaving out the data."""
    result = GaussForge().convert(data, old, new, spz_version=SPZ_VERSION)
    if not result.get("data"):
        sys.exit(f"gaussforge: {result.get('error', 'no data')}")
    return bytes(result["data"])


direction = {"encode": encode, "decode": decode}[sys.argv[1]]
# gaussforge prints to file descriptor 1, which is the data's: it gets another.
with os.fdopen(os.dup(1), "wb") as stdout, open(os.devnull, "wb") as nowhere:  # noqa: PTH123
    os.dup2(nowhere.fileno(), 1)
    stdout.write(direction(sys.stdin.buffer.read()))
