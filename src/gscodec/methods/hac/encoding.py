"""The encoder of each kind of scene."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gscodec.anchors import AnchorScene

if TYPE_CHECKING:
    from gscodec.anchors import Scene
    from gscodec.methods import Coded, Progress
    from gscodec.methods.hac.options import Options


def encode(scene: Scene, options: Options, progress: Progress) -> Coded:
    """Fits the context model to ``scene`` and codes it.

    Raises:
        CannotCodeError: The lattice or the integers cannot hold some value; method raw can.
        SceneError: The scene holds NaN or infinity.
        UsageError: A wanted size or PSNR is out of reach.
    """
    if isinstance(scene, AnchorScene):
        from gscodec.methods.hac.anchor_encoder import encode_anchors

        return encode_anchors(scene, options, progress)
    from gscodec.methods.hac.encoder import encode_gaussians

    return encode_gaussians(scene, options, progress)
