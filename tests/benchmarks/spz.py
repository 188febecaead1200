"""SPZ version 4 by gaussforge, as a command: spz.py encode < scene.ply > scene.spz, or decode."""

import os
import sys

from gscodec import GscodecError, read_ply, write_ply
from gscodec.interchange import decode_spz, encode_spz


def encode(ply: bytes) -> bytes:
    """A scene as SPZ."""
    return encode_spz(read_ply(ply).scene, version=4)


def decode(spz: bytes) -> bytes:
    """Inverse of `encode`."""
    return write_ply(decode_spz(spz))


direction = {"encode": encode, "decode": decode}[sys.argv[1]]
# gaussforge prints to file descriptor 1, which is the data's: it gets another.
with os.fdopen(os.dup(1), "wb") as stdout, open(os.devnull, "wb") as nowhere:  # noqa: PTH123
    os.dup2(nowhere.fileno(), 1)
    try:
        stdout.write(direction(sys.stdin.buffer.read()))
    except GscodecError as error:
        sys.exit(str(error))
