"""`GaussianScene` -> a 3DGS .ply in the layout of INRIA's code, binary little endian."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gscodec.arguments import gaussians_given
from gscodec.errors import SceneError
from gscodec.room import MEMORY
from gscodec.sceneio.comments import ANTIALIASED, told_by_comments, writable
from gscodec.sceneio.extra_names import notes_on_names, written_names
from gscodec.sceneio.layout import (
    BLOCK_ROWS,
    NORMALS,
    PLY_TYPES,
    REST_NAME,
    columns_of,
    written_order,
)
from gscodec.slices import in_slices

if TYPE_CHECKING:
    import re
    from collections.abc import Iterator, Sequence
    from typing import Any

    from gscodec.room import Room
    from gscodec.scene import ExtraProperty, GaussianScene
    from gscodec.sceneio.rows import Columns

_ROWS = 1 << 16  # that are written at once


def write_ply(
    scene: GaussianScene, *, comments: Sequence[str] = (), infos: Sequence[str] = ()
) -> bytes:
    """All of `ply_parts`.

    Raises:
        UsageError: ``scene`` is no scene of Gaussians.
    """
    return b"".join(ply_parts(gaussians_given(scene), comments=comments, infos=infos))


def ply_parts(
    scene: GaussianScene,
    *,
    comments: Sequence[str] = (),
    infos: Sequence[str] = (),
    room: Room = MEMORY,
) -> Iterator[bytes]:
    """Writes ``scene``, some rows at a time; `read_ply` gives it back bit for bit.

    Positions of a scene with an origin are doubles, with the origin added. Extra properties
    follow the usual ones, each in its own type; `renamed_extras` tells which of them get another
    name. A comment tells that a scene is antialiased.

    Args:
        scene: What to write.
        comments: For lines ``comment``, see `gscodec.sceneio.comments.writable`.
        infos: For lines ``obj_info``, in the same way.
        room: Where the arrays of ``scene`` are.

    Raises:
        SceneError: A comment, or the type of an extra property, that a .ply cannot hold.
    """
    lines = [*comments, *infos]
    if len(writable(lines)) < len(lines):
        raise SceneError("comments: expected lines of printable ASCII, 0.5 MB at most")
    if scene.antialiased and not told_by_comments(lines).get("antialiased"):
        comments = [*comments, ANTIALIASED]
    for rows in room.slices(max(1, len(scene)), _ROWS):
        columns = _columns(scene.rows(rows))
        if not rows.start:
            yield _header(columns, len(scene), comments, infos)
        yield _table(columns)


def write_columns(columns: Columns) -> bytes:
    """A .ply whose vertices have ``columns``, (N,) each, by name and in order."""
    count = len(next(iter(columns.values())))
    return _header(columns, count, (), ()) + _table(columns)


def _header(
    columns: Columns, count: int, comments: Sequence[str], infos: Sequence[str]
) -> bytes:
    """Of ``count`` vertices that have ``columns``, of which there are some rows."""
    from plyfile import PlyData, PlyElement

    none = PlyElement.describe(np.empty(0, _row(columns)), "vertex")
    header = PlyData([none], byte_order="<", comments=comments, obj_info=infos).header
    counted = header.replace("\nelement vertex 0\n", f"\nelement vertex {count}\n", 1)
    return f"{counted}\n".encode("ascii")


def _table(columns: Columns) -> bytes:
    """The rows of ``columns``."""
    table = np.empty(len(next(iter(columns.values()))), _row(columns))
    for rows in in_slices(len(table), BLOCK_ROWS):
        block = table[rows]
        for name, column in columns.items():
            block[name] = column[rows]
    return table.tobytes()


def _row(columns: Columns) -> list[tuple[str, np.dtype[Any]]]:
    return [(name, column.dtype.newbyteorder("<")) for name, column in columns.items()]


def _columns(scene: GaussianScene) -> Columns:
    """Every column that is written, (N,) each, by name and in order."""
    names = columns_of(scene.sh_degree)
    values: Columns = {n: np.zeros(len(scene), np.float32) for n in NORMALS}
    for field, array in scene.attributes().items():
        flat = array.reshape(len(scene), len(names[field]))
        values |= {n: flat[:, i] for i, n in enumerate(names[field])}
    if scene.origin is not None:
        for name, value in zip(names["means"], scene.origin, strict=True):
            values[name] = value + values[name].astype(np.float64)
    order = written_order(scene.sh_degree, has_normals=scene.has_normals)
    columns = {n: values[n] for n in order}
    add_extras(columns, scene.extras, REST_NAME)
    return columns


def add_extras(
    columns: Columns, extras: Sequence[ExtraProperty], reserved: re.Pattern[str]
) -> None:
    """Adds ``extras`` to ``columns`` under names that a .ply can hold, none of them ``reserved``.

    Raises:
        SceneError: A .ply cannot hold the type of one of them.
    """
    for extra, name in zip(extras, written_names(extras, columns, reserved), strict=True):
        if extra.values.dtype.str[1:] not in PLY_TYPES:
            raise SceneError(
                f"extra property {extra.name!r}: found {extra.values.dtype}, expected one of "
                f"{', '.join(PLY_TYPES)}"
            )
        columns[name] = extra.values


def renamed_extras(scene: GaussianScene) -> tuple[str, ...]:
    """A note for each extra property whose name `write_ply` has to change."""
    order = written_order(scene.sh_degree, has_normals=scene.has_normals)
    return notes_on_names(scene.extras, written_names(scene.extras, order, REST_NAME))
