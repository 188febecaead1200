"""Values in few words, for errors about what a caller gave."""

from __future__ import annotations

from io import IOBase
from os import PathLike


def described(value: object) -> str:
    """What ``value`` is, in few words."""
    if isinstance(value, (str, PathLike)):
        return f"the text {str(value)[:60]!r}"
    if value is None or isinstance(value, (bool, int, float)):
        return repr(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "bytes"
    if isinstance(value, IOBase):
        return "an open file"
    kind = type(value)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__.split('.')[0]} "
    return f"a {module}{kind.__name__}"
