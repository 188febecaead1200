"""JSON of unknown origin -> values of known types; every refusal says where."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from gscodec.errors import SceneError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

MAX_CAMERAS = 100_000
_SHOWN_CHARACTERS = 60


def parse_json(data: bytes, name: str) -> object:
    """The document in ``data``: UTF-8, -16 or -32, with or without a byte order mark.

    Raises:
        SceneError: It is no JSON, or has NaN, infinity, or a key twice in one object.
    """
    try:
        document: object = json.loads(
            data.decode(json.detect_encoding(data)),
            object_pairs_hook=_distinct,
            parse_constant=_refuse_constant,
        )
    except (ValueError, RecursionError) as error:
        raise SceneError(f"{name}: not JSON: {error}") from error
    return document


def _distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result: dict[str, object] = {}
    for key, value in pairs:
        if key in result:
            raise ValueError(f"key {shown(key)} found twice")
        result[key] = value
    return result


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"found {text}, expected a finite number")


def check_count(count: int, name: str) -> None:
    """Refuses no cameras and too many.

    Raises:
        SceneError: ``count`` is not 1 to `MAX_CAMERAS`.
    """
    if not 1 <= count <= MAX_CAMERAS:
        raise SceneError(f"{name}: found {count} cameras, expected 1 to {MAX_CAMERAS}")


def shown(value: object) -> str:
    """``value`` in a few printable characters."""
    match value:
        case None:
            return "nothing"
        case dict():
            return "an object"
        case list():
            return f"a list of {len(value)}"
        case str():
            return repr(value[:_SHOWN_CHARACTERS])
        case _:
            return repr(value)[:_SHOWN_CHARACTERS]


@dataclass(frozen=True)
class Record:
    """A JSON object with typed access.

    Attributes:
        values: Its keys and values.
        place: Where it stands, for errors.
    """

    values: Mapping[str, object]
    place: str

    @classmethod
    def of(cls, value: object, place: str) -> Record:
        """The object ``value``.

        Raises:
            SceneError: It is another kind of JSON.
        """
        if not isinstance(value, dict):
            raise SceneError(f"{place}: found {shown(value)}, expected an object")
        return cls(value, place)

    def number(self, key: str, default: float | None = None) -> float:
        """A finite number.

        Raises:
            SceneError: There is none, and no ``default``.
        """
        value = _as_number(self.values.get(key, default))
        if value is None:
            self._refuse(key, "a finite number")
        return value

    def whole(self, key: str) -> int:
        """A whole number; 800.0 is one.

        Raises:
            SceneError: There is none.
        """
        value = self.number(key)
        if not value.is_integer():
            self._refuse(key, "a whole number")
        return int(value)

    def text(self, key: str, default: str | None = None) -> str:
        """A string.

        Raises:
            SceneError: There is none, and no ``default``.
        """
        value = self.values.get(key, default)
        if not isinstance(value, str):
            self._refuse(key, "a text")
        return value

    def vector(self, key: str, size: int) -> NDArray[np.float64]:
        """A list of ``size`` finite numbers, (size,).

        Raises:
            SceneError: There is none.
        """
        numbers = _as_numbers(self.values.get(key), size)
        if numbers is None:
            self._refuse(key, f"a list of {size} finite numbers")
        return np.array(numbers)

    def matrix(self, key: str, size: int, rows: int | None = None) -> NDArray[np.float64]:
        """A list of ``size`` or ``rows`` rows of ``size`` finite numbers, (rows, size).

        Raises:
            SceneError: There is none.
        """
        value = self.values.get(key)
        wanted = size if rows is None else rows
        found = [_as_numbers(row, size) for row in value] if isinstance(value, list) else []
        numbers = [row for row in found if row is not None]
        if not len(found) == len(numbers) == wanted:
            self._refuse(key, f"{wanted} rows of {size} finite numbers")
        return np.array(numbers)

    def _refuse(self, key: str, expected: str) -> NoReturn:
        found = shown(self.values.get(key))
        raise SceneError(f"{self.place}: {key}: found {found}, expected {expected}")


def _as_number(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except OverflowError:  # a whole number of more than 308 digits
        return None
    return number if math.isfinite(number) else None


def _as_numbers(value: object, size: int) -> list[float] | None:
    if not isinstance(value, list) or len(value) != size:
        return None
    numbers = [number for number in map(_as_number, value) if number is not None]
    return numbers if len(numbers) == size else None
