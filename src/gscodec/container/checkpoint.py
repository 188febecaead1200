"""The blueprint of a file of anchors; of others nothing of it is loaded, so that they open fast."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gscodec.payload import SceneKind

if TYPE_CHECKING:
    from gscodec.kinds.blueprint import Blueprint
    from gscodec.payload import Payload


def blueprint_of(payload: Payload) -> Blueprint | None:
    """That of anchors, None for Gaussians.

    Raises:
        FormatError: It is missing or damaged.
    """
    if payload.header.kind is not SceneKind.ANCHORS:
        return None
    from gscodec.kinds.blueprint import blueprint_of

    return blueprint_of(payload)
