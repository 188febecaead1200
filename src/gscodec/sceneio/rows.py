"""The body of a .ply -> one array per vertex property, with plyfile's types.

Binary rows are a view of the bytes: plyfile reads them one value at a time unless it is given
a file on disk (12 s for 250,000 Gaussians). Tests hold the two against each other.
"""

from __future__ import annotations

import re
from io import BytesIO
from itertools import takewhile
from typing import TYPE_CHECKING

import numpy as np

from gscodec.errors import SceneError, UsageError

if TYPE_CHECKING:
    from mmap import mmap
    from typing import Any, TypeAlias

    from numpy.typing import NDArray

    from gscodec.sceneio.header import Header

    Columns: TypeAlias = dict[str, NDArray[Any]]

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# How the runtimes of Windows, old and new, print what is not finite: "1.#QNAN", "-nan(ind)".
_NAN = re.compile(rb"[+-]?(?:nan\([a-z0-9_]*\)|1\.#(?:[qs]?nan|ind)[0-9]*)", re.IGNORECASE)
_INFINITY = re.compile(rb"1\.#inf[0-9]*", re.IGNORECASE)


def read_columns(data: bytes | mmap, header: Header, name: str) -> Columns:
    """The properties of the vertices by name, each (N,) in its declared type.

    Binary columns are views of ``data``, strided and in the byte order of the file.

    Args:
        data: The whole file, at least as long as ``header`` says.
        header: Its header, with an element ``vertex`` and without lists.
        name: The file's name, for errors.

    Raises:
        SceneError: Ascii values are malformed, missing, or do not fit their type.
        UsageError: Ascii integers where numpy cannot tell whether they fit.
    """
    table = _read_ascii(data, header, name) if header.ply.text else _view_binary(data, header)
    return {prop.name: table[prop.name] for prop in header.ply["vertex"].properties}


def _view_binary(data: bytes | mmap, header: Header) -> NDArray[Any]:
    vertex = header.ply["vertex"]
    before = takewhile(lambda element: element is not vertex, header.ply)
    return np.frombuffer(
        data,
        dtype=vertex.dtype(header.ply.byte_order),
        count=header.counts["vertex"],
        offset=header.size + sum(map(header.bytes_of, before)),
    )


def _read_ascii(data: bytes | mmap, header: Header, name: str) -> NDArray[Any]:
    from plyfile import PlyData, PlyParseError

    types = [np.dtype(p.dtype()) for p in header.ply["vertex"].properties]
    # It wraps integers around that do not fit their type, without a word.
    if np.__version__.startswith("1.") and any(t.kind in "iu" for t in types):
        raise UsageError(
            f"{name}: ascii rows with integers: found numpy {np.__version__}, "
            "expected 2.0 or later; pip install 'numpy>=2'"
        )
    stream = BytesIO(header.text.encode("ascii") + _plain(data[header.size :]))
    try:
        # Numbers beyond the range of their type become infinite and are found later.
        with np.errstate(over="ignore"):
            table: NDArray[Any] = PlyData.read(stream, mmap=False)["vertex"].data
    except (PlyParseError, ValueError, OverflowError) as error:
        raise SceneError(f"{name}: ascii rows: {error}") from error
    return table


def _plain(rows: bytes) -> bytes:
    """Ascii rows as plyfile reads them: Unix line ends, and names of numbers that C prints."""
    rows = rows.removeprefix(BYTE_ORDER_MARK)
    if b"\r" in rows:
        rows = rows.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if b"#" in rows or b"(" in rows:
        rows = _INFINITY.sub(b"inf", _NAN.sub(b"nan", rows))
    return rows
