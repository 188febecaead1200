"""The names that a 3DGS .ply gives to the columns of a scene, as INRIA's code writes them.

Source: graphdeco-inria/gaussian-splatting, scene/gaussian_model.py,
``construct_list_of_attributes``. Higher SH coefficients are stored channel by channel: all of
red, then all of green, then all of blue.
"""

from __future__ import annotations

import re

from gscodec.scene import SH_DEGREES, sh_rest_count

# Rows copied at a time, so that all columns of a block are handled while it is in cache.
BLOCK_ROWS = 2048
NORMALS = ("nx", "ny", "nz")
REST_NAME = re.compile(r"f_rest_([0-9]{1,9})", re.ASCII)
DEGREE_OF_REST = {3 * sh_rest_count(degree): degree for degree in SH_DEGREES}

# The eight PLY scalar types: numpy code -> the name that is written.
PLY_TYPES = {
    "i1": "char",
    "u1": "uchar",
    "i2": "short",
    "u2": "ushort",
    "i4": "int",
    "u4": "uint",
    "f4": "float",
    "f8": "double",
}

WIDER_THAN_FLOAT32 = ("i4", "u4", "f8")

_FIXED = {
    "means": ("x", "y", "z"),
    "opacity_logits": ("opacity",),
    "log_scales": ("scale_0", "scale_1", "scale_2"),
    "quats": ("rot_0", "rot_1", "rot_2", "rot_3"),
    "sh_dc": ("f_dc_0", "f_dc_1", "f_dc_2"),
}
REQUIRED = tuple(name for names in _FIXED.values() for name in names)
# The scale that 2DGS has not: its Gaussians are flat.
FLAT = "scale_2"


def is_known(name: str) -> bool:
    """Whether a property of this name means something in a 3DGS .ply."""
    return name in REQUIRED or name in NORMALS or REST_NAME.fullmatch(name) is not None


def columns_of(degree: int) -> dict[str, tuple[str, ...]]:
    """Property names by scene field, each in the order of the field's flattened row."""
    k = sh_rest_count(degree)
    rest = tuple(f"f_rest_{channel * k + i}" for i in range(k) for channel in range(3))
    return {**_FIXED, "sh_rest": rest}


def written_order(degree: int, *, has_normals: bool) -> tuple[str, ...]:
    """Property names in the order of a written file, extras not counted."""
    rest = tuple(f"f_rest_{i}" for i in range(3 * sh_rest_count(degree)))
    return (
        *_FIXED["means"],
        *(NORMALS if has_normals else ()),
        *_FIXED["sh_dc"],
        *rest,
        *_FIXED["opacity_logits"],
        *_FIXED["log_scales"],
        *_FIXED["quats"],
    )
