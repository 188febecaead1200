"""The .ply of a checkpoint -> arrays, whatever the order and types of its properties.

Strategy as in `gscodec.sceneio.reader`: check kind and size before anything is allocated, copy
the known columns by name, keep the unknown ones, note what changed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gscodec.anchors import SCALINGS
from gscodec.checkpointio.layout import (
    CUSTOMARY,
    FEATURE,
    INITIAL_OPACITY,
    MASK,
    NUMBERED,
    OFFSET,
    SCALE,
    columns_of,
)
from gscodec.errors import SceneError
from gscodec.notes import Note
from gscodec.sceneio.columns import (
    copy_extra,
    counted,
    gather,
    note_on_rounding,
    notes_on_ignored,
)
from gscodec.sceneio.foreign import refuse_levels, refuse_other_formats
from gscodec.sceneio.header import check_size, parse_header
from gscodec.sceneio.rows import read_columns

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from plyfile import PlyData

    from gscodec.scene import ExtraProperty
    from gscodec.sceneio.rows import Columns

# How relatives name what Scaffold-GS has not: drift features, sizes and colours of anchors, levels.
_MORE = re.compile(r"f_(?!dc_|rest_)|anchor_|(extra_)?level|info(_[0-9]+)?$", re.ASCII)
_CUSTOMARY_GROUPS = (("nx", "ny", "nz"), ("rot_0", "rot_1", "rot_2", "rot_3"))


@dataclass(frozen=True)
class Vertices:
    """What the .ply says, before it is known in which space it says it.

    Attributes:
        anchors: (N, 3) float32
        offsets: (N, K, 3) float32
        masks: (N, K) float32, or None.
        features: (N, F) float32
        scalings: (N, 6) float32
        extras: Further properties.
        notes: One line for each thing that was changed or left out.
    """

    anchors: NDArray[np.float32]
    offsets: NDArray[np.float32]
    masks: NDArray[np.float32] | None
    features: NDArray[np.float32]
    scalings: NDArray[np.float32]
    extras: tuple[ExtraProperty, ...]
    notes: tuple[str, ...]


def read_vertices(data: bytes, name: str) -> Vertices:
    """Reads the .ply of a checkpoint: ascii or binary, any scalar types.

    Args:
        data: The whole file.
        name: The file's name, for errors.

    Raises:
        SceneError: ``data`` is not a complete table of anchors with finite values.
    """
    refuse_other_formats(data, name)
    header = parse_header(data, name)
    names = _columns(header.ply, name)
    check_size(header, len(data), name)
    columns = read_columns(data, header, name)

    arrays = {field: gather(columns, of_field) for field, of_field in names.items()}
    for field, array in arrays.items():
        _check_finite(array, names[field], name)
    known = {n for of_field in names.values() for n in of_field}
    unused, notes = _customary(columns)
    offsets = arrays["offsets"]
    return Vertices(
        anchors=arrays["anchors"],
        offsets=offsets.reshape(len(offsets), offsets.shape[1] // 3, 3),
        masks=arrays.get("masks"),
        features=arrays["features"],
        scalings=arrays["log_scalings"],
        extras=tuple(
            copy_extra(n, column)
            for n, column in columns.items()
            if n not in known and n not in unused
        ),
        notes=(
            *note_on_rounding(columns, known),
            *notes_on_ignored(header, len(data)),
            *notes,
        ),
    )


def _columns(ply: PlyData, name: str) -> dict[str, tuple[str, ...]]:
    """Property names by field, as many as there are."""
    properties = {p.name for p in ply["vertex"].properties} if "vertex" in ply else set()
    refuse_levels(properties, name)
    found: dict[str, list[int]] = {OFFSET: [], MASK: [], FEATURE: [], SCALE: []}
    for match in filter(None, map(NUMBERED.fullmatch, properties)):
        found[match[1]].append(int(match[2]))
    if not found[OFFSET] or not found[FEATURE]:
        raise SceneError(
            f"{name}: found no properties {OFFSET}_* and {FEATURE}_*, expected the anchors of "
            "a Scaffold-GS checkpoint"
        )
    offsets = len(found[OFFSET]) // 3
    counts = {OFFSET: 3 * offsets, FEATURE: len(found[FEATURE]), SCALE: SCALINGS}
    counts[MASK] = offsets if found[MASK] else 0
    for prefix, numbers in found.items():
        if sorted(numbers) != list(range(counts[prefix])):
            raise SceneError(
                f"{name}: found {len(numbers)} properties {prefix}_*, expected {prefix}_0 to "
                f"{prefix}_{max(counts[prefix], len(numbers)) - 1}"
                + (", a multiple of 3" if prefix == OFFSET else "")
            )
    _refuse_relatives(properties, name)
    names = columns_of(counts[FEATURE], offsets, masked=bool(found[MASK]))
    missing = [n for of_field in names.values() for n in of_field if n not in properties]
    if missing:
        raise SceneError(f"{name}: found no vertex property {', '.join(missing[:12])}")
    return names


def _refuse_relatives(properties: set[str], name: str) -> None:
    """Refuses anchors of another make: their networks take more than those of Scaffold-GS."""
    strange = sorted(p for p in properties if _MORE.match(p) and not NUMBERED.fullmatch(p))
    if strange:
        raise SceneError(
            f"{name}: these are anchors of a relative of Scaffold-GS, found "
            f"{counted(strange, 'further property', 'further properties')}; expected those of "
            "Scaffold-GS, HAC or HAC++"
        )


def _check_finite(array: NDArray[np.float32], names: tuple[str, ...], name: str) -> None:
    """Refuses NaN and infinity, with property, count and first row."""
    bad = ~np.isfinite(array)
    if bad.any():
        rows = bad.any(axis=1)
        row = int(np.argmax(rows))
        column = int(np.argmax(bad[row]))
        raise SceneError(
            f"{name}: found {np.count_nonzero(rows)} of {len(array)} anchors with NaN or "
            f"infinity (first: index {row}, {names[column]} is {array[row, column]})"
        )


def _customary(columns: Columns) -> tuple[set[str], tuple[str, ...]]:
    """Names of the columns that need not be kept, and a note where that changes them."""
    unused = {
        n
        for group in _CUSTOMARY_GROUPS
        if all((columns[n] == CUSTOMARY[n]).all() for n in group if n in columns)
        for n in group
    }
    opacity = columns.get("opacity", np.empty(0))
    if (opacity != opacity[:1]).any():
        return unused, ()
    unused.add("opacity")
    if np.allclose(opacity[:1], INITIAL_OPACITY):
        return unused, ()
    note = (
        f"dropped the unused property opacity, {opacity[0]:.6g} in every row; "
        f"{INITIAL_OPACITY:.6g} will be written instead"
    )
    return unused, (Note(note, "opacity-dropped"),)
