"""Pictures of scenes: rasterisation forward and backward, virtual cameras, PSNR and SSIM.

This package needs numba (extra ``render``); torch only where it says so, in `rasterization`,
`autograd` and `perceptual`.
"""

from gscodec.render.scene import activate, blend_weights, render

__all__ = ["activate", "blend_weights", "render"]
