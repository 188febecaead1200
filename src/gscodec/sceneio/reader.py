"""A 3DGS .ply -> `GaussianScene`, whatever the order, types and company of its properties.

Strategy: check magic, header, kind and size before anything is allocated; copy the known
columns into the scene's arrays by name; make a note of everything changed or left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gscodec.errors import SceneError
from gscodec.scene import GaussianScene
from gscodec.sceneio.columns import (
    copy_extra,
    counted,
    gather,
    note_on_rounding,
    notes_on_ignored,
)
from gscodec.sceneio.foreign import refuse_other_formats, require_gaussians
from gscodec.sceneio.header import check_size, parse_header
from gscodec.sceneio.layout import (
    DEGREE_OF_REST,
    NORMALS,
    PLY_TYPES,
    REST_NAME,
    columns_of,
)
from gscodec.sceneio.rows import read_columns

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from plyfile import PlyElement

    from gscodec.sceneio.header import Header
    from gscodec.sceneio.rows import Columns


@dataclass(frozen=True)
class ReadResult:
    """A scene and what is known about the file that it came from.

    Attributes:
        scene: The Gaussians, in file order.
        notes: One line for each thing that was dropped, rounded, ignored or kept as extra.
        conventions: JSON values: ``format``, ``property_count``, ``property_types``,
            ``sh_degree``, ``has_normals``, ``comments``, and where a comment tells them
            ``up_axis`` (str) and ``antialiased`` (bool).
    """

    scene: GaussianScene
    notes: tuple[str, ...]
    conventions: dict[str, object]


def read_ply(
    data: bytes,
    *,
    drop_invalid: bool = False,
    keep_extra: bool = False,
    name: str = "<bytes>",
) -> ReadResult:
    """Reads a 3DGS .ply: ascii or binary, SH degree 0 to 3, any scalar types.

    Args:
        data: The whole file.
        drop_invalid: Drop Gaussians with NaN or infinity instead of refusing the scene.
        keep_extra: Keep unknown vertex properties in ``scene.extras``.
        name: The file's name, for errors.

    Raises:
        SceneError: ``data`` is not a complete 3DGS scene of finite values.
    """
    refuse_other_formats(data, name)
    header = parse_header(data, name)
    vertex = require_gaussians(header.ply, name)
    names = columns_of(_sh_degree(vertex, name))
    check_size(header, len(data), name)
    columns = read_columns(data, header, name)

    known = {n for field in names.values() for n in field}
    has_normals = _has_zero_normals(columns)
    extra = [n for n in columns if n not in known and not (has_normals and n in NORMALS)]
    told = _told_by_comments(header.comments)
    scene = GaussianScene(
        **_arrays(columns, names),
        extras=tuple(copy_extra(n, columns[n]) for n in extra) if keep_extra else (),
        has_normals=has_normals,
        antialiased=told.get("antialiased") is True,
        origin=None,
    )
    scene, dropped = _without_invalid(scene, name, drop_invalid=drop_invalid)
    notes = (
        *_note_on_extra(extra, keep_extra=keep_extra),
        *note_on_rounding(columns, known),
        *notes_on_ignored(header, len(data)),
        *dropped,
    )
    return ReadResult(scene, notes, _conventions(header, vertex, scene))


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
    columns: Columns, names: dict[str, tuple[str, ...]]
) -> dict[str, NDArray[np.float32]]:
    """The six arrays of a scene by field name."""
    flat = {field: gather(columns, field_names) for field, field_names in names.items()}
    n, rest = flat["sh_rest"].shape
    return {
        **flat,
        "opacity_logits": flat["opacity_logits"].reshape(n),
        "sh_rest": flat["sh_rest"].reshape(n, rest // 3, 3),
    }


def _without_invalid(
    scene: GaussianScene, name: str, *, drop_invalid: bool
) -> tuple[GaussianScene, tuple[str, ...]]:
    """The Gaussians of finite values, and a note if others were dropped."""
    finite = np.ones(len(scene), dtype=np.bool_)
    for array in scene.attributes().values():
        is_finite = np.isfinite(array)
        if not is_finite.all():
            finite &= is_finite.reshape(len(scene), -1).all(axis=1)
    if finite.all():
        return scene, ()
    first = int(np.argmin(finite))
    found = (
        f"{np.count_nonzero(~finite)} of {len(scene)} Gaussians with NaN or infinity "
        f"(first: index {first}, {_first_invalid_value(scene, first)})"
    )
    if not drop_invalid:
        raise SceneError(f"{name}: found {found}; drop them with --drop-invalid")
    return scene.take(finite), (f"dropped {found}",)


def _first_invalid_value(scene: GaussianScene, index: int) -> str:
    names = columns_of(scene.sh_degree)
    values = (
        f"{prop} is {value}"
        for field, array in scene.attributes().items()
        for prop, value in zip(names[field], array[index].flat, strict=True)
        if not np.isfinite(value)
    )
    return next(values)


def _note_on_extra(extra: list[str], *, keep_extra: bool) -> tuple[str, ...]:
    if not extra:
        return ()
    what = counted(extra, "extra vertex property", "extra vertex properties")
    return (f"kept {what}",) if keep_extra else (f"dropped {what}; keep with --keep-extra",)


def _conventions(header: Header, vertex: PlyElement, scene: GaussianScene) -> dict[str, object]:
    return {
        "format": header.ply.header.split()[2],  # after "ply" and "format"
        "property_count": len(vertex.properties),
        "property_types": sorted({PLY_TYPES[p.val_dtype] for p in vertex.properties}),
        "sh_degree": scene.sh_degree,
        "has_normals": scene.has_normals,
        "comments": list(header.comments),
        **_told_by_comments(header.comments),
    }


def _told_by_comments(comments: tuple[str, ...]) -> dict[str, object]:
    """What Brush, nerfstudio and Postshot say about a scene in comments."""
    told: dict[str, object] = {}
    for comment in comments:
        match re.split(r"[:\s]+", comment.lower(), maxsplit=2):
            case ["vertical", "axis", axis]:  # Brush, nerfstudio: "Vertical axis: y"
                told["up_axis"] = axis.removeprefix(":").strip()
            case ["splatrendermode", mode, *_]:  # Brush: "SplatRenderMode: mip" or "default"
                told["antialiased"] = mode == "mip"
            case ["antialiased", flag, *_]:  # Postshot: "antialiased 1"
                told["antialiased"] = flag in {"1", "true"}
            case _:
                pass
    return told
