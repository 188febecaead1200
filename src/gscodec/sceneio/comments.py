"""Comments of a .ply: what they tell of a scene, and which of them can be written back."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Field of the conventions -> the comment that tells it, in small letters. Of Brush and
# nerfstudio "Vertical axis: y", of Brush "SplatRenderMode: mip", of Postshot "antialiased 1".
_TOLD = {
    field: re.compile(rf"{key}\s*[:=\s]\s*{value}")
    for field, key, value in (
        ("up_axis", r"(?:vertical|up)[ _-]?axis", r"(\S.*)"),
        ("units", r"(?:length |scene )?units?", r"(\S+)"),
        ("render_mode", r"(?:splat)?[ _]?(?:render|rasteri[sz]e)[ _-]?mode", r"(\S+)"),
        ("color_space", r"(?:splat)?[ _]?colou?r[ _-]?space", r"(\S+)"),
        ("antialiased", r"anti-?alias(?:ed|ing)", r"(\S+)"),
    )
}
ANTIALIASED = "antialiased 1"
# "antialiased" and "classic" are words of gsplat and nerfstudio.
_MODES = {"mip": True, "antialiased": True, "default": False, "classic": False}
_FLAGS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
# Of the 1 MiB that a header may have; the rest is for properties.
_MOST_BYTES = 1 << 19
_AXIS = re.compile(r"([+-]?)([xyz])(?:[ _-]?up)?")
_WRITABLE = re.compile(r"[ -~]*")


def told_by_comments(comments: Iterable[str]) -> dict[str, object]:
    """What trainers say of a scene in comments.

    Returns:
        JSON values, each only if told: ``up_axis``, ``units``, ``render_mode`` and
        ``color_space`` (str), ``antialiased`` (bool). The last comment counts.
    """
    told: dict[str, object] = {}
    for comment in comments:
        for field, pattern in _TOLD.items():
            match = pattern.fullmatch(comment.strip().lower())
            if match:
                told[field] = match[1]
    said = told.pop("antialiased", None)
    antialiased = _FLAGS.get(str(said), _MODES.get(str(told.get("render_mode"))))
    return told if antialiased is None else {**told, "antialiased": antialiased}


def told_up(meta: Mapping[str, object]) -> tuple[float, float, float] | None:
    """Which way is up, as ``conventions`` of ``meta``, which may hold anything, tell; or None.

    As an axis (``z``, ``-y``, ``y-up``) or as a vector (``0 1 0``).
    """
    conventions = meta.get("conventions")
    text = conventions.get("up_axis") if isinstance(conventions, dict) else None
    if not isinstance(text, str):
        return None
    if axis := _AXIS.fullmatch(text.strip().lower()):
        sign = -1.0 if axis[1] == "-" else 1.0
        x, y, z = (sign * (name == axis[2]) for name in "xyz")
        return x, y, z
    try:
        x, y, z = (float(word) for word in text.replace(",", " ").split())
    except ValueError:
        return None
    return (x, y, z) if 0 < math.hypot(x, y, z) < math.inf else None


@dataclass(frozen=True)
class Comments:
    """Lines of a header for people.

    Attributes:
        comments: Of ``comment`` lines.
        infos: Of ``obj_info`` lines.
        left_out: How many more a file remembers, which no .ply can hold.
    """

    comments: tuple[str, ...] = ()
    infos: tuple[str, ...] = ()
    left_out: int = 0


def remembered_comments(meta: Mapping[str, object]) -> Comments:
    """What ``meta`` of a .gsz, which may hold anything, remembers of the source's comments."""
    conventions = meta.get("conventions")
    found = conventions if isinstance(conventions, dict) else {}
    lists = [found.get(key) for key in ("comments", "obj_info")]
    comments, infos = (lines if isinstance(lines, list) else [] for lines in lists)
    kept = writable([*comments, *infos])
    split = len(writable(comments))
    return Comments(kept[:split], kept[split:], len(comments) + len(infos) - len(kept))


def writable(comments: Iterable[object]) -> tuple[str, ...]:
    """Those of ``comments`` that the header of a .ply can hold.

    Many readers refuse a header that is not ASCII, and all of them a header of many megabytes.
    """
    kept, size = [], 0
    for comment in comments:
        if isinstance(comment, str) and _WRITABLE.fullmatch(comment):
            size += len("obj_info \n") + len(comment)
            if size > _MOST_BYTES:
                break
            kept.append(comment)
    return tuple(kept)
