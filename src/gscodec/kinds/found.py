"""Which kind of scene a file holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gscodec.kinds.anchors import Anchors
from gscodec.kinds.blueprint import blueprint_of
from gscodec.kinds.gaussians import Gaussians

if TYPE_CHECKING:
    from gscodec.kinds.kind import Kind
    from gscodec.payload import Payload


def kind_of(payload: Payload) -> Kind:
    """That of the scene in a file.

    Raises:
        FormatError: What says how wide its arrays are is missing or damaged.
    """
    blueprint = blueprint_of(payload)
    if blueprint is None:
        return Gaussians(payload.header.sh_degree, has_normals=payload.header.has_normals)
    return Anchors(blueprint)
