"""A 3DGS .ply -> `GaussianScene`, whatever the order, types and company of its properties.

Strategy: check magic, header, kind and size before anything is allocated; copy the known
columns into the scene's arrays by name; make a note of everything changed or left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from mmap import mmap
from typing import TYPE_CHECKING

import numpy as np

from gscodec.arguments import bytes_given
from gscodec.errors import SceneError
from gscodec.notes import Note
from gscodec.room import MEMORY
from gscodec.scene import GaussianScene
from gscodec.sceneio.columns import (
    copy_extra,
    counted,
    gather_fields,
    note_on_extras,
    note_on_rounding,
    notes_on_ignored,
)
from gscodec.sceneio.comments import told_by_comments
from gscodec.sceneio.damage import note_on_activation, without_invalid
from gscodec.sceneio.foreign import refuse_other_formats, require_gaussians
from gscodec.sceneio.header import MAX_HEADER_BYTES, check_size, parse_header
from gscodec.sceneio.layout import (
    DEGREE_OF_REST,
    FLAT,
    NORMALS,
    PLY_TYPES,
    REST_NAME,
    columns_of,
)
from gscodec.sceneio.positions import relative
from gscodec.sceneio.rows import BYTE_ORDER_MARK, read_columns

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from plyfile import PlyElement

    from gscodec.room import Room
    from gscodec.sceneio.header import Header
    from gscodec.sceneio.rows import Columns


@dataclass(frozen=True)
class ReadResult:
    """A scene and what is known about the file that it came from.

    Attributes:
        scene: The Gaussians, in file order.
        notes: One line for each thing that was dropped, rounded, ignored, added, kept as extra,
            or looks odd.
        conventions: JSON values: ``format``, ``property_count``, ``property_types``,
            ``sh_degree``, ``has_normals``, ``comments``, where there are any ``obj_info``, and
            what comments tell, see `told_by_comments`.
    """

    scene: GaussianScene
    notes: tuple[str, ...]
    conventions: dict[str, object]


def read_ply(
    data: bytes | mmap,
    *,
    drop_invalid: bool = False,
    keep_extra: bool = False,
    name: str = "<bytes>",
    room: Room = MEMORY,
) -> ReadResult:
    """Reads a 3DGS .ply: ascii or binary, SH degree 0 to 3, any scalar types.

    Args:
        data: The whole file.
        drop_invalid: Drop Gaussians with NaN, infinity or a rotation of zeros instead of
            refusing the scene. An infinite opacity is a value, and so is a log-scale of minus
            infinity.
        keep_extra: Keep unknown vertex properties in ``scene.extras``.
        name: The file's name, for errors.
        room: Where the arrays of the scene go.

    Raises:
        SceneError: ``data`` is not a complete 3DGS scene of values.
    """
    if not isinstance(data, mmap):
        data = bytes_given(data).removeprefix(BYTE_ORDER_MARK)
    header, vertex, degree = check_ply(data, len(data), name)
    names = columns_of(degree)
    columns = read_columns(data, header, name)
    flat = _note_on_missing_scale(columns)

    known = {n for field in names.values() for n in field}
    has_normals = _has_zero_normals(columns)
    extra = [n for n in columns if n not in known and not (has_normals and n in NORMALS)]
    told = told_by_comments((*header.comments, *header.infos))
    arrays = _arrays(columns, names, room)
    arrays["means"], origin, moved = relative(columns, names["means"], arrays["means"])
    scene = GaussianScene(
        **arrays,
        extras=tuple(copy_extra(n, columns[n]) for n in extra) if keep_extra else (),
        has_normals=has_normals,
        antialiased=told.get("antialiased") is True,
        origin=origin,
    )
    scene, dropped = without_invalid(scene, name, drop_invalid=drop_invalid, room=room)
    rounded = known if origin is None else known.difference(names["means"])
    notes = (
        *_note_on_prefixes(header.renamed),
        *flat,
        *_note_on_extra(extra, keep_extra=keep_extra),
        *moved,
        *note_on_rounding(columns, rounded),
        *notes_on_ignored(header, len(data)),
        *dropped,
        *note_on_activation(scene),
    )
    room.leave()
    return ReadResult(scene, notes, _conventions(header, vertex, scene) | told)


def check_ply(data: bytes | mmap, file_bytes: int, name: str) -> tuple[Header, PlyElement, int]:
    """What a file of ``file_bytes`` announces at its start, ``data``, before rows are read.

    Args:
        data: `MAX_HEADER_BYTES` or more, or all of the file.
        file_bytes: Of all of it.
        name: The file's name, for errors.

    Returns:
        Its header, the element vertex, and the SH degree.

    Raises:
        SceneError: It is no 3DGS scene, or is shorter than it says.
    """
    refuse_other_formats(data[:MAX_HEADER_BYTES], name)
    header = parse_header(data, name)
    vertex = require_gaussians(header.ply, name)
    degree = _sh_degree(vertex, name)
    check_size(header, file_bytes, name)
    return header, vertex, degree


def _sh_degree(vertex: PlyElement, name: str) -> int:
    rest = [p.name for p in vertex.properties if REST_NAME.fullmatch(p.name)]
    if len(rest) not in DEGREE_OF_REST:
        raise SceneError(
            f"{name}: found {len(rest)} f_rest_* properties, expected "
            f"{', '.join(map(str, DEGREE_OF_REST))} (SH degree 0 to 3)"
        )
    stray = set(rest) - {f"f_rest_{i}" for i in range(len(rest))}
    if stray:
        raise SceneError(
            f"{name}: found {min(stray)} among {len(rest)} f_rest_* properties, expected "
            f"f_rest_0 to f_rest_{len(rest) - 1}"
        )
    return DEGREE_OF_REST[len(rest)]


def _has_zero_normals(columns: Columns) -> bool:
    return all(n in columns and not columns[n].any() for n in NORMALS)


def _arrays(
    columns: Columns, names: dict[str, tuple[str, ...]], room: Room
) -> dict[str, NDArray[np.float32]]:
    """The six arrays of a scene by field name."""
    flat = gather_fields(columns, names, room)
    n, rest = flat["sh_rest"].shape
    return {
        **flat,
        "opacity_logits": flat["opacity_logits"].reshape(n),
        "sh_rest": flat["sh_rest"].reshape(n, rest // 3, 3),
    }


def _note_on_missing_scale(columns: Columns) -> tuple[str, ...]:
    """Gives ``columns`` of 2DGS, whose Gaussians are flat, the third scale of flat ones."""
    if FLAT in columns:
        return ()
    columns[FLAT] = np.full(len(columns["x"]), -np.inf, np.float32)
    note = (
        f"no {FLAT}, as 2DGS writes it: read as flat, with a {FLAT} of minus infinity, which is "
        "written too; programs of 2DGS want it removed"
    )
    return (Note(note, "read-as-flat"),)


def _note_on_prefixes(renamed: tuple[str, ...]) -> tuple[str, ...]:
    if not renamed:
        return ()
    what = counted(list(renamed), "vertex property", "vertex properties")
    told = f"CloudCompare's prefix scalar_ left out of {what}"
    return (Note(told, "prefix-left-out", changed=False, properties=len(renamed)),)


def _note_on_extra(extra: list[str], *, keep_extra: bool) -> tuple[str, ...]:
    if not extra:
        return ()
    what = counted(extra, "extra vertex property", "extra vertex properties")
    return (note_on_extras(what, len(extra), keep_extra=keep_extra),)


def _conventions(header: Header, vertex: PlyElement, scene: GaussianScene) -> dict[str, object]:
    return {
        "format": header.ply.header.split()[2],  # after "ply" and "format"
        "property_count": len(vertex.properties),
        "property_types": sorted({PLY_TYPES[p.val_dtype] for p in vertex.properties}),
        "sh_degree": scene.sh_degree,
        "has_normals": scene.has_normals,
        "comments": list(header.comments),
        **({"obj_info": list(header.infos)} if header.infos else {}),
    }
