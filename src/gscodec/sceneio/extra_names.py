"""Names of extra properties as a .ply can hold them: a .gsz holds names in any language."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gscodec.notes import Note

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gscodec.scene import ExtraProperty

_NOT_PLAIN = re.compile(r"[^!-~]")


def written_names(
    extras: Sequence[ExtraProperty], taken: Iterable[str], reserved: re.Pattern[str]
) -> tuple[str, ...]:
    """A name of printable ASCII for each of ``extras``, distinct from all others and ``taken``.

    A name that can be written is kept; none matches ``reserved``.
    """
    used = set(taken)
    names: dict[int, str] = {}
    for number, extra in enumerate(extras):
        if _is_free(extra.name, used, reserved) and not _NOT_PLAIN.search(extra.name):
            names[number] = extra.name
            used.add(extra.name)
    for number, extra in enumerate(extras):
        if number not in names:
            name = _NOT_PLAIN.sub(lambda found: f"u{ord(found[0]):04x}", extra.name)
            while not _is_free(name, used, reserved):
                name = f"extra_{name}"
            names[number] = name
            used.add(name)
    return tuple(names[number] for number in range(len(extras)))


def notes_on_names(extras: Sequence[ExtraProperty], names: Sequence[str]) -> tuple[str, ...]:
    """One line for each of ``extras`` that is written under another of ``names``."""
    return tuple(
        Note(
            f"renamed extra property {extra.name!r} to {name}: a .ply cannot hold it by its own name",
            "extra-renamed",
        )
        for extra, name in zip(extras, names, strict=True)
        if extra.name != name
    )


def _is_free(name: str, used: set[str], reserved: re.Pattern[str]) -> bool:
    return bool(name) and name not in used and not reserved.fullmatch(name)
