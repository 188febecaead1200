"""Notes for people <-> the payload of ``meta``: one JSON object. A decoder never needs it.

Strategy: depth and number of values are counted in the bytes before a parser sees them, so
that what is valid does not depend on how deep this Python can go, and cannot end it.
"""

from __future__ import annotations

import json
import re
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NoReturn

from gscodec.container import layout
from gscodec.errors import UsageError
from gscodec.notes import Note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gscodec.container.chunks import Chunk

# A text, what structures values, or a quotation mark that nothing closes.
_TOKENS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{},]|"', re.DOTALL)


def write_meta(meta: dict[str, object]) -> bytes:
    """Canonical JSON: UTF-8, sorted keys, no spaces, no NaN.

    Raises:
        UsageError: If a value is not JSON, or there is too much of it.
    """
    try:
        payload = _canonical(meta)
        _parsed(payload)  # so that whoever reads the file can
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"meta: cannot be written as JSON: {error}") from error
    return payload


def read_meta(chunks: Sequence[Chunk]) -> tuple[dict[str, object], str | None]:
    """Inverse of `write_meta`; other JSON objects are read too, if they could be written.

    Args:
        chunks: Those of a file, none or one.

    Returns:
        The notes, and what is wrong with them; then they are empty.
    """
    if not chunks:
        return {}, None
    try:
        return _parsed(bytes(chunks[0].payload)), None
    except ValueError as error:
        return {}, f"{chunks[0].place}: {error}"


def _parsed(data: bytes) -> dict[str, object]:
    _check(data)
    meta = json.loads(
        data.decode("utf-8"),
        parse_int=lambda digits: int(_number(digits)),
        parse_float=lambda digits: float(_number(digits)),
        parse_constant=_no_number,
    )
    _canonical(meta)  # finds what parses but is no JSON: infinity, lone surrogates
    if not isinstance(meta, dict):
        raise ValueError(f"found a {type(meta).__name__}, expected an object")  # noqa: TRY004
    return meta


def _check(data: bytes) -> None:
    """Whether it is safe to parse ``data``.

    Raises:
        ValueError: It breaks a limit of the specification.
    """
    if len(data) > layout.MAX_META_BYTES:
        raise ValueError(f"{len(data)} bytes, expected at most {layout.MAX_META_BYTES}")
    deepest, values = _counted(data)
    for what, found, most in (
        ("levels of nesting", deepest, layout.MAX_META_DEPTH),
        ("values", values, layout.MAX_META_VALUES),
    ):
        if found > most:
            raise ValueError(f"found {found} {what}, expected at most {most}")


def _counted(data: bytes) -> tuple[int, int]:
    """Levels of nesting, and number of values.

    Raises:
        ValueError: A text does not end.
    """
    depth = deepest = values = 0
    for token in _TOKENS.finditer(data):
        match token[0]:
            case b"[" | b"{":
                depth, values = depth + 1, values + 1
                deepest = max(deepest, depth)
            case b"]" | b"}":
                depth -= 1
            case b",":
                values += 1
            case b'"':
                raise ValueError(f"text at byte {token.start()} does not end")
    return deepest, values


def _number(digits: str) -> str:
    if len(digits) > layout.MAX_META_NUMBER:
        raise ValueError(
            f"number of {len(digits)} characters, expected at most {layout.MAX_META_NUMBER}"
        )
    return digits


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"found {name}, expected a number")


def _canonical(meta: object) -> bytes:
    text = json.dumps(
        meta, sort_keys=True, allow_nan=False, ensure_ascii=False, separators=(",", ":")
    )
    return text.encode("utf-8")


def fitted_meta(meta: dict[str, object]) -> tuple[dict[str, object], tuple[str, ...]]:
    """``meta`` as a file can hold it, and a note on each part that was cut for it.

    What is largest is halved until all of it fits: a text, a list, or an object inside.

    Raises:
        UsageError: If a value is not JSON, or too large without being one of these.
    """
    try:
        if _share(meta) <= 1:
            return meta, ()
        left: Any = json.loads(_canonical(meta))
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"meta: cannot be written as JSON: {error}") from error
    whole: dict[str, int] = {}
    notes: dict[str, str] = {}
    while _share(left) > 1:
        parent, key, place = _largest(left)
        value = parent[key]
        if not isinstance(value, str | list | dict) or len(value) < 2:
            raise UsageError(f"meta: {place} is too large for a file")
        size = whole.setdefault(place, len(value))
        kept = len(value) // 2
        parent[key] = (
            dict(islice(value.items(), kept)) if isinstance(value, dict) else value[:kept]
        )
        unit = "characters" if isinstance(value, str) else "values"
        told = f"cut {place} in the notes of the file: kept {kept:,} of {size:,} {unit}"
        notes[place] = Note(told, "meta-cut", kept=kept, of=size)
    return left, tuple(notes.values())


def _share(value: object) -> float:
    """How much of a file's room for notes ``value`` takes; at most 1 fits."""
    data = _canonical(value)
    return max(len(data) / layout.MAX_META_BYTES, _counted(data)[1] / layout.MAX_META_VALUES)


def _largest(meta: dict[str, Any]) -> tuple[Any, Any, str]:
    """What to cut: the object or list that holds it, its key there, and its place in words.

    A container of many small values is cut itself.
    """
    parent: Any = {"meta": meta}
    key: Any = "meta"
    place: list[str] = []
    while isinstance(value := parent[key], dict | list) and value:
        items = value.items() if isinstance(value, dict) else enumerate(value)
        below, share = max(((k, _share(v)) for k, v in items), key=itemgetter(1))
        if place and 2 * share < _share(value):
            break
        parent, key = value, below
        place.append(str(below))
    return parent, key, ".".join(place)
