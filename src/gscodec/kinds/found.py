"""Which kind of scene a file holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gscodec.kinds.anchors import Anchors
from gscodec.kinds.blueprint import blueprint_of
from gscodec.kinds.gaussians import Gaussians
from gscodec.payload import Attribute

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
        header = payload.header
        displaced = any(s.attribute is Attribute.DISPLACEMENT for s in payload.streams)
        return Gaussians(header.sh_degree, header.has_normals, displaced)
    return Anchors(blueprint)
