"""The header of a .ply, read by plyfile before anything is allocated for its rows.

plyfile reads a header only together with the rows that it announces. It is therefore given the
header alone, with every count set to 0; the counts are kept here and held against the size of
the file. Comments are taken out first: plyfile refuses those that are not ASCII.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, NoReturn

from gscodec.errors import SceneError

if TYPE_CHECKING:
    from plyfile import PlyData, PlyElement

# A 3DGS header is 1.5 kB; the limit leaves room for long comments.
MAX_HEADER_BYTES = 1 << 20
_FIRST_LINE = re.compile(rb"ply(\r\n|\n|\r)")
_COMMENT = re.compile(r"[\t ]*(?:comment|obj_info)(?:\s(.*))?", re.DOTALL)
# 18 digits are more than any count that fits in memory, and few enough for int().
_ELEMENT = re.compile(r"^([\t ]*element[\t ]+[!-~]+[\t ]+)([0-9]{1,18})[\t ]*$", re.MULTILINE)
_EXPECTED = "expected printable ASCII, and after an element's name a count of at most 18 digits"
_OTHER = re.compile(r"(?![\t ]*element\b)[\t -~]*")


@dataclass(frozen=True)
class Header:
    """What the header of a .ply says.

    Attributes:
        ply: Elements and format, without rows.
        counts: Element name -> number of rows.
        comments: Texts of ``comment`` and ``obj_info`` lines, unprintable characters as "?".
        text: The header in ASCII, its comments emptied.
        size: Bytes of the header in the file, with its last newline.
    """

    ply: PlyData
    counts: dict[str, int]
    comments: tuple[str, ...]
    text: str
    size: int

    def bytes_of(self, element: PlyElement) -> int:
        """Bytes that the rows take: exactly in a binary file, at least in an ascii file."""
        if self.ply.text:  # every value is at least one digit and one separator
            return 2 * self.counts[element.name] * len(element.properties)
        row: int = element.dtype(self.ply.byte_order).itemsize
        return self.counts[element.name] * row

    @property
    def body_bytes(self) -> int:
        """`bytes_of` all elements; an ascii file may lack the last newline."""
        return sum(map(self.bytes_of, self.ply)) - bool(self.ply.text)


def parse_header(data: bytes, name: str) -> Header:
    """Reads the header at the start of ``data``.

    Args:
        data: The whole file, starting with ``ply``.
        name: The file's name, for errors.

    Raises:
        SceneError: No complete header, an unknown line or type, or a name used twice.
    """
    lines, size = _split(data, name)
    comments = [m[1] or "" for line in lines if (m := _COMMENT.fullmatch(line))]
    # What is taken out leaves a line, so that errors give the file's line numbers.
    plain = [
        "comment" if _COMMENT.fullmatch(line) or not line.strip() else line for line in lines
    ]
    for number, line in enumerate(plain, start=1):
        if not (_ELEMENT.fullmatch(line) or _OTHER.fullmatch(line)):
            _refuse_line(name, number, line, _EXPECTED)
    text = "\n".join([*plain, "end_header", ""])
    ply = _read_without_rows(text, name)
    counts = [int(count) for _, count in _ELEMENT.findall(text)]
    return Header(
        ply,
        dict(zip((e.name for e in ply), counts, strict=True)),
        tuple(map(_printable, comments)),
        text,
        size,
    )


def _split(data: bytes, name: str) -> tuple[list[str], int]:
    """The lines before ``end_header``, and the bytes that they take with it."""
    first = _FIRST_LINE.match(data)
    if first is None:
        raise SceneError(f"{name}: found {data[:8]!r}, expected a line with 'ply' alone")
    newline = first[1]
    end_line = newline + b"end_header" + newline
    end = data.find(end_line, 0, MAX_HEADER_BYTES)
    if end < 0:
        raise SceneError(
            f"{name}: no line 'end_header' in the first {min(len(data), MAX_HEADER_BYTES)} "
            "bytes; the file is truncated or not a .ply"
        )
    lines = data[:end].decode("utf-8", "replace").split(newline.decode())
    return lines, end + len(end_line)


def _read_without_rows(text: str, name: str) -> PlyData:
    from plyfile import PlyData, PlyHeaderParseError

    without_rows = _ELEMENT.sub(r"\g<1>0", text).encode("ascii")
    try:
        return PlyData.read(BytesIO(without_rows), mmap=False)
    except PlyHeaderParseError as error:
        _refuse_line(name, error.line, text.split("\n")[error.line - 1], error.message)
    except ValueError as error:
        raise SceneError(f"{name}: header: {error}") from error


def _refuse_line(name: str, number: int, line: str, why: str) -> NoReturn:
    raise SceneError(f"{name}: header line {number}: found {_printable(line[:60])!r}, {why}")


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)


def check_size(header: Header, file_bytes: int, name: str) -> None:
    """Makes sure that every declared row can be in the file.

    Raises:
        SceneError: An element has lists or no properties, or the file is too short.
    """
    from plyfile import PlyListProperty

    for element in header.ply:
        if not element.properties:
            raise SceneError(f"{name}: element {element.name} has no properties")
        for prop in element.properties:
            if isinstance(prop, PlyListProperty):
                raise SceneError(
                    f"{name}: property {prop.name} of element {element.name} is a list, "
                    "expected scalar properties only"
                )
    found = file_bytes - header.size
    if found < header.body_bytes:
        counts = ", ".join(
            f"{count} {element} rows" for element, count in header.counts.items()
        )
        raise SceneError(
            f"{name}: truncated: found {found} bytes after the header, expected "
            f"{'at least ' if header.ply.text else ''}{header.body_bytes} for {counts}"
        )
