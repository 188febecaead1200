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

import numpy as np

from gscodec.errors import SceneError
from gscodec.sceneio.layout import is_known

if TYPE_CHECKING:
    from mmap import mmap

    from plyfile import PlyData, PlyElement, PlyProperty

# A 3DGS header is 1.5 kB; the limit leaves room for long comments.
MAX_HEADER_BYTES = 1 << 20
_FIRST_LINE = re.compile(rb"ply[\t ]*(\r\n|\n|\r)")
# Windows and Unix line ends may be mixed; those of old Macs may not, as what follows the last
# one can be any byte.
_MAC, _OTHERS = b"\r", rb"\r?\n"
_COMMENT = re.compile(r"[\t ]*(comment|obj_info)(?:\s(.*))?", re.DOTALL)
# 18 digits are more than any count that fits in memory, and few enough for int().
_ELEMENT = re.compile(r"^([\t ]*element[\t ]+[!-~]+[\t ]+)([0-9]{1,18})[\t ]*$", re.MULTILINE)
_EXPECTED = "expected printable ASCII, and after an element's name a count of at most 18 digits"
_OTHER = re.compile(r"(?![\t ]*element\b)[\t -~]*")
# CloudCompare calls what it does not know a scalar field.
_SCALAR_FIELD = re.compile(r"^([\t ]*property[\t ]+[!-~]+[\t ]+)scalar_([!-~]+)$")


@dataclass(frozen=True)
class Header:
    """What the header of a .ply says.

    Attributes:
        ply: Elements and format, without rows.
        counts: Element name -> number of rows.
        comments: Texts of ``comment`` lines, unprintable characters as "?".
        infos: Texts of ``obj_info`` lines in the same way.
        renamed: Properties that CloudCompare calls ``scalar_*``, by their names without it.
        text: The header in ASCII up to the vertices, its comments emptied.
        size: Bytes of the header in the file, with its last newline.
    """

    ply: PlyData
    counts: dict[str, int]
    comments: tuple[str, ...]
    infos: tuple[str, ...]
    renamed: tuple[str, ...]
    text: str
    size: int

    def row_bytes(self, element: PlyElement) -> int:
        """Bytes that a row takes, or at least takes: in an ascii file, or if it has lists."""
        if self.ply.text:  # every value is at least one digit and one separator
            return 2 * len(element.properties)
        # Of a list at least its length is there.
        return sum(np.dtype(_first_type(p)).itemsize for p in element.properties)

    def bytes_of(self, element: PlyElement) -> int:
        """Bytes that all rows take, or at least take."""
        return self.counts[element.name] * self.row_bytes(element)

    @property
    def body_bytes(self) -> int:
        """`bytes_of` all elements; an ascii file may lack the last newline."""
        return max(0, sum(map(self.bytes_of, self.ply)) - bool(self.ply.text))

    @property
    def is_exact(self) -> bool:
        """Whether `body_bytes` is what there must be, and not only the least."""
        return not self.ply.text and not any(
            has_list(element) and self.counts[element.name] for element in self.ply
        )


def may_be_ply(head: bytes) -> bool:
    """Whether a file that starts with ``head``, `MAX_HEADER_BYTES` or more of it, may be one."""
    return head.startswith(b"ply") and b"end_header" in head[:MAX_HEADER_BYTES]


def parse_header(data: bytes | mmap, name: str) -> Header:
    """Reads the header at the start of ``data``.

    Args:
        data: The whole file, starting with ``ply``.
        name: The file's name, for errors.

    Raises:
        SceneError: No complete header, an unknown line or type, or a name used twice.
    """
    lines, size = _split(data, name)
    told = [(m[1], _printable(m[2] or "")) for line in lines if (m := _COMMENT.fullmatch(line))]
    # What is taken out leaves a line, so that errors give the file's line numbers.
    plain = [
        "comment" if _COMMENT.fullmatch(line) or not line.strip() else line for line in lines
    ]
    for number, line in enumerate(plain, start=1):
        if not (_ELEMENT.fullmatch(line) or _OTHER.fullmatch(line)):
            _refuse_line(name, number, line, _EXPECTED)
    plain, renamed = _without_prefixes(plain)
    text = "\n".join([*plain, "end_header", ""])
    ply = _read_without_rows(text, name)
    counts = [int(count) for _, count in _ELEMENT.findall(text)]
    return Header(
        ply,
        dict(zip((e.name for e in ply), counts, strict=True)),
        tuple(comment for kind, comment in told if kind == "comment"),
        tuple(info for kind, info in told if kind == "obj_info"),
        renamed,
        _up_to_vertices(plain),
        size,
    )


def _split(data: bytes | mmap, name: str) -> tuple[list[str], int]:
    """The lines before ``end_header``, and the bytes that they take with it."""
    first = _FIRST_LINE.match(data)
    if first is None:
        raise SceneError(f"{name}: found {data[:8]!r}, expected a line with 'ply' alone")
    newline = _MAC if first[1] == _MAC else _OTHERS
    end_line = re.compile(newline + rb"end_header[\t ]*" + newline)
    end = end_line.search(data, 0, MAX_HEADER_BYTES)
    if end is None:
        raise SceneError(
            f"{name}: no line 'end_header' in the first {min(len(data), MAX_HEADER_BYTES)} "
            "bytes; the file is truncated or not a .ply"
        )
    lines = re.split(newline.decode(), data[: end.start()].decode("utf-8", "replace"))
    return [line.rstrip(" \t") for line in lines], end.end()


def _without_prefixes(lines: list[str]) -> tuple[list[str], tuple[str, ...]]:
    """Known properties without CloudCompare's prefix, and their names.

    A name that the file has without the prefix too stays as it is.
    """
    taken = {line.split()[-1] for line in lines if line}
    result, renamed = [], []
    for line in lines:
        match = _SCALAR_FIELD.fullmatch(line)
        if match and is_known(match[2]) and match[2] not in taken:
            renamed.append(match[2])
            line = match[1] + match[2]  # noqa: PLW2901
        result.append(line)
    return result, tuple(renamed)


def _up_to_vertices(lines: list[str]) -> str:
    """The header without elements after the vertices, which nobody reads."""
    elements = [n for n, line in enumerate(lines) if _ELEMENT.fullmatch(line)]
    names = [lines[n].split()[1] for n in elements]
    after = elements[names.index("vertex") + 1 :] if "vertex" in names else []
    return "\n".join([*lines[: after[0] if after else None], "end_header", ""])


def has_list(element: PlyElement) -> bool:
    """Whether its rows differ in length."""
    from plyfile import PlyListProperty

    return any(isinstance(prop, PlyListProperty) for prop in element.properties)


def _first_type(prop: PlyProperty) -> str:
    """Of the number that every row has: the value, or the length of a list."""
    code: str = getattr(prop, "len_dtype", prop.val_dtype)
    return code


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
    """Makes sure that every declared row can be in the file, and the vertices can be found.

    Raises:
        SceneError: The vertices, or an element before them that has rows, have lists; an element
            has no properties; the file is too short; or it has rows but counts none.
    """
    where_is_known = True
    for element in header.ply:
        if not element.properties:
            raise SceneError(f"{name}: element {element.name} has no properties")
        is_vertex = element.name == "vertex"
        if where_is_known and (header.counts[element.name] or is_vertex) and has_list(element):
            listed = next(p.name for p in element.properties if hasattr(p, "len_dtype"))
            raise SceneError(
                f"{name}: property {listed} of element {element.name} is a list, "
                "expected scalar properties only up to the vertices"
            )
        where_is_known &= not is_vertex
    found = file_bytes - header.size
    _refuse_uncounted(header, found, name)
    if found < header.body_bytes:
        counts = ", ".join(
            f"{count} {element} rows" for element, count in header.counts.items()
        )
        raise SceneError(
            f"{name}: truncated: found {found} bytes after the header, expected "
            f"{'' if header.is_exact else 'at least '}{header.body_bytes} for {counts}"
        )


def _refuse_uncounted(header: Header, found: int, name: str) -> None:
    """Writers that are stopped leave the count that they would have filled in at the end."""
    if header.counts.get("vertex", 1):
        return
    row = header.row_bytes(header.ply["vertex"])
    if found - header.body_bytes >= row:
        raise SceneError(
            f"{name}: the header counts 0 vertices, found {found} bytes after it, expected a "
            f"count of about {(found - header.body_bytes) // row} or an empty file; mend the "
            "header, or write the scene again"
        )
