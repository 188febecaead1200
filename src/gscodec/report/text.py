"""Values of unknown origin -> text that is safe on a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """``text`` with everything a terminal would obey (escape codes, newlines, bidi) escaped."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )


def shown(value: object) -> str:
    """A JSON value for people: numbers short, texts printable, lists and dicts in a line."""
    match value:
        case bool():
            return "yes" if value else "no"
        case None:
            return "-"
        case float():
            return f"{value:.4g}"
        case int():
            return str(value)
        case list() | tuple():
            return ", ".join(map(shown, value)) or "-"
        case dict():
            return ", ".join(f"{label(str(k))} {shown(v)}" for k, v in value.items()) or "-"
        case _:
            return printable(str(value))


def cut(text: str, most: int) -> str:
    """``text`` if it has at most ``most`` characters, else its start and how much is missing."""
    if len(text) <= most:
        return text
    return f"{text[:most]}... ({len(text) - most:,} characters more; all with --json)"


def label(key: str) -> str:
    """A key of a JSON object as words."""
    return printable(key).replace("_", " ")


def size(count: int) -> str:
    """For example ``4,713,034 bytes``."""
    return f"{count:,} byte{'' if count == 1 else 's'}"
