"""Columns of a .ply -> arrays of a scene, and notes on what changes on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gscodec.notes import Note
from gscodec.room import MEMORY
from gscodec.scene import ExtraProperty
from gscodec.sceneio.layout import BLOCK_ROWS, WIDER_THAN_FLOAT32
from gscodec.slices import in_slices

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.room import Room
    from gscodec.sceneio.header import Header
    from gscodec.sceneio.rows import Columns

_NAMES_SHOWN = 12
_LEAVES = 32  # blocks between two leaves


def gather(columns: Columns, names: tuple[str, ...]) -> NDArray[np.float32]:
    """The columns ``names`` side by side, (N, len(names)) float32."""
    return gather_fields(columns, {"": names}, MEMORY)[""]


def gather_fields(
    columns: Columns, names: dict[str, tuple[str, ...]], room: Room
) -> dict[str, NDArray[np.float32]]:
    """By field the columns of its ``names`` side by side, (N, len(names)) float32."""
    n = len(next(iter(columns.values())))
    out = {field: room.empty((n, len(own)), np.float32) for field, own in names.items()}
    # Doubles beyond float32 become infinite, signalling NaNs quiet: both are found later.
    with np.errstate(over="ignore", invalid="ignore"):
        for number, rows in enumerate(in_slices(n, BLOCK_ROWS)):
            for field, own in names.items():
                block = out[field][rows]
                for i, name in enumerate(own):
                    block[:, i] = columns[name][rows]
            if number % _LEAVES == 0:
                room.leave()
    return out


def copy_extra(name: str, column: NDArray[np.generic]) -> ExtraProperty:
    """The column as a value of its own, in its own type and native byte order."""
    return ExtraProperty(name, column.astype(column.dtype.newbyteorder("=")))


def note_on_rounding(columns: Columns, known: set[str]) -> tuple[str, ...]:
    """How many values of the columns ``known`` float32 cannot hold, where there are any."""
    changed = {
        n: _count_rounded(column)
        for n, column in columns.items()
        if n in known and column.dtype.str[1:] in WIDER_THAN_FLOAT32
    }
    names = [n for n, count in changed.items() if count]
    if not names:
        return ()
    total = sum(changed.values())
    where = counted(names, "vertex property", "vertex properties")
    return (Note(f"values rounded to float32: {total}, in {where}", "rounded", values=total),)


def _count_rounded(column: NDArray[np.generic]) -> int:
    with np.errstate(over="ignore", invalid="ignore"):
        as_float32 = column.astype(np.float32)
        return int(np.count_nonzero((as_float32 != column) & np.isfinite(as_float32)))


def notes_on_ignored(header: Header, file_bytes: int) -> tuple[str, ...]:
    """What the file holds besides vertices."""
    others = [name for name in header.counts if name != "vertex"]
    notes = []
    if others:
        what = counted(others, "element besides vertex", "elements besides vertex")
        notes.append(Note(f"ignored {what}", "elements-ignored", elements=len(others)))
    surplus = file_bytes - header.size - header.body_bytes
    if surplus and header.is_exact:
        row = header.row_bytes(header.ply["vertex"])
        more = f", as many as {surplus // row} more Gaussians take" * (surplus % row == 0)
        told = f"ignored {surplus} bytes after the last row{more}"
        notes.append(Note(told, "bytes-ignored", bytes=surplus))
    return tuple(notes)


def note_on_extras(what: str, count: int, *, keep_extra: bool) -> Note:
    """On ``count`` extra properties: kept, or dropped."""
    if keep_extra:
        return Note(f"kept {what}", "extras-kept", changed=False, properties=count)
    told = f"dropped {what}; keep with --keep-extra"
    return Note(told, "extras-dropped", properties=count)


def counted(names: list[str], singular: str, plural: str) -> str:
    """For example ``2 elements: camera, frame``."""
    shown = ", ".join(names[:_NAMES_SHOWN])
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return f"{len(names)} {singular if len(names) == 1 else plural}: {shown}{more}"
