"""Scenes in the formats of others: .spz, .splat, .ksplat, .compressed.ply, .sog, bytes <-> scene.

The package gaussforge does the work where it was found right against an independent reader;
what it has wrong is put right here, beside the reason (`forge`, `spz`, `compressed`, `ksplat`).
"""

from gscodec.interchange.formats import FORMATS, Format, format_in, format_of, missing_package
from gscodec.interchange.reader import as_read, read_foreign
from gscodec.interchange.spz import decode_spz, encode_spz
from gscodec.interchange.writer import write_foreign

__all__ = [
    "FORMATS",
    "Format",
    "as_read",
    "decode_spz",
    "encode_spz",
    "format_in",
    "format_of",
    "missing_package",
    "read_foreign",
    "write_foreign",
]
