"""What whoever reads, encodes or writes a scene says of it: a line for people, data for programs."""

from __future__ import annotations

from typing import Self


class Note(str):
    """A line of text that also is a code and numbers.

    Attributes:
        code: What happened, for programs: lower-case words with hyphens that do not change.
        changed: Whether a value, the number or the order of what the scene holds is another now.
        numbers: How many of what: those in the text, by name.
    """

    __slots__ = ("changed", "code", "numbers")

    code: str
    changed: bool
    numbers: dict[str, float]

    def __new__(cls, text: str, code: str, *, changed: bool = True, **numbers: float) -> Self:
        """``text`` is one line; ``numbers`` are those in it."""
        note = super().__new__(cls, text)
        note.code, note.changed, note.numbers = code, changed, numbers
        return note

    def __getnewargs_ex__(self) -> tuple[tuple[str, str], dict[str, float]]:
        """For pickle."""
        return (str(self), self.code), {"changed": self.changed, **self.numbers}


def note_of(text: str) -> Note:
    """``text`` as it is, or as a note without a code of its own."""
    return text if isinstance(text, Note) else Note(text, "note", changed=False)
