"""`rasterization`: Gaussians to pictures in torch, with gradients, on CPU or GPU.

Names, order and defaults of the arguments are those of gsplat 1.5.3, of which this is a subset.
CPU tensors are drawn by the kernels of this package, CUDA tensors by gsplat itself, so that one
training loop serves both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from gscodec.camera import Camera
from gscodec.errors import UsageError
from gscodec.render.autograd import Views, rasterize
from gscodec.render.splat import Conventions

if TYPE_CHECKING:
    from torch import Tensor

GSPLAT = "1.5.3"  # the release that is meant by gsplat here
GSPLAT_MAX_ALPHA = 0.999  # compiled into it; later releases have 0.99

_KNOWN = {
    "render_mode": ("RGB", "D", "ED", "RGB+D", "RGB+ED"),
    "rasterize_mode": ("classic", "antialiased"),
    "camera_model": ("pinhole",),
    "backend": ("auto", "numba", "gsplat"),
}


def rasterization(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colors: Tensor,
    viewmats: Tensor,
    Ks: Tensor,  # noqa: N803 - gsplat's name
    width: int,
    height: int,
    near_plane: float = 0.01,
    far_plane: float = 1e10,
    radius_clip: float = 0.0,
    eps2d: float = 0.3,
    sh_degree: int | None = None,
    packed: bool = True,
    tile_size: int = 16,
    backgrounds: Tensor | None = None,
    render_mode: Literal["RGB", "D", "ED", "RGB+D", "RGB+ED"] = "RGB",
    *,
    rasterize_mode: Literal["classic", "antialiased"] = "classic",
    camera_model: Literal["pinhole"] = "pinhole",
    max_alpha: float = GSPLAT_MAX_ALPHA,
    backend: Literal["auto", "numba", "gsplat"] = "auto",
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """Draws N Gaussians as C cameras see them. Tensors are float32.

    Gradients reach means, quats, scales, opacities, colors and backgrounds, once (no second
    derivatives); on the CPU none reach the cameras. They are zero where gsplat's are: where
    alpha is capped, and for what is skipped or cut off.

    Args:
        means: (N, 3) scene units.
        quats: (N, 4) w, x, y, z of any length.
        scales: (N, 3) after the exponential.
        opacities: (N,) after the sigmoid; above 1 counts as 1 on the CPU.
        colors: (N, K, 3) SH coefficients if ``sh_degree`` is given, else (N, D) or (C, N, D)
            colours, drawn as they are. The CPU blends three channels at once: every further
            three cost as much again.
        viewmats: (C, 4, 4) world to camera, rigid: x right, y down, z forward.
        Ks: (C, 3, 3) intrinsics in pixels, without skew.
        width: Of the pictures, pixels.
        height: Of the pictures, pixels.
        near_plane: Nearer Gaussians are not drawn, scene units along z.
        far_plane: Farther ones neither.
        radius_clip: Gaussians of this radius or smaller are not drawn, pixels.
        eps2d: Low-pass added to projected covariances, pixels squared.
        sh_degree: 0 to 3; ``colors`` may hold more coefficients.
        packed: Memory layout inside gsplat; changes nothing on the CPU.
        tile_size: Pictures do not depend on it; the CPU has only 16.
        backgrounds: (C, D) colours behind the Gaussians, None is black; depth has none.
        render_mode: Colours, and as last channel accumulated (D) or mean (ED) depth.
        rasterize_mode: "antialiased" lowers opacity as much as the low-pass widens a splat.
        camera_model: Pinhole only.
        max_alpha: Cap of alpha in a pixel, below 1; gsplat has only 0.999.
        backend: "auto" is gsplat for CUDA tensors and numba for others.

    Returns:
        Colours (C, H, W, X), not clipped, X is D, 1 or D + 1; alphas (C, H, W, 1); and a dict.
        Its "drawn" (C, N) bool says which Gaussians reach a picture (gsplat: whose box does).
        Numba adds "depths" (C, N) and "means2d" (C, N, 2), 0 where not drawn, without
        gradients; gsplat adds all that it knows.

    Raises:
        UsageError: Arguments that make no sense, or that the backend does not have.
        SceneError: A camera that is none, or Gaussians that reach too many tiles.
    """
    words = (render_mode, rasterize_mode, camera_model, backend)
    for (name, known), word in zip(_KNOWN.items(), words, strict=True):
        if word not in known:
            raise UsageError(f"{name}: found {word!r}, expected {' or '.join(known)}")
    tensors = (means, quats, scales, opacities, colors)
    _check_shapes(tensors, viewmats, Ks, backgrounds, sh_degree)
    if backend == "gsplat" or (backend == "auto" and means.is_cuda):
        return _by_gsplat(
            (*tensors, viewmats, Ks, width, height),
            max_alpha,
            backgrounds,
            near_plane=near_plane,
            far_plane=far_plane,
            radius_clip=radius_clip,
            eps2d=eps2d,
            sh_degree=sh_degree,
            packed=packed,
            tile_size=tile_size,
            render_mode=render_mode,
            rasterize_mode=rasterize_mode,
        )
    _check_numba((*tensors, viewmats, Ks), backgrounds, tile_size, max_alpha)
    antialiased = rasterize_mode == "antialiased"
    conventions = Conventions(near_plane, far_plane, eps2d, max_alpha, radius_clip, antialiased)
    cameras = tuple(_camera(v, k, width, height) for v, k in zip(viewmats, Ks, strict=True))
    views = Views(cameras, conventions, sh_degree, "RGB" in render_mode, "D" in render_mode)
    image, alphas, drawn, depths, means2d = rasterize(tensors, backgrounds, views)
    alphas = alphas[..., None]
    if "ED" in render_mode:
        mean_depth = image[..., -1:] / alphas.clamp(min=1e-10)
        image = torch.cat([image[..., :-1], mean_depth], dim=-1)
    return image, alphas, {"drawn": drawn, "depths": depths, "means2d": means2d}


def _check_shapes(
    tensors: tuple[Tensor, ...],
    viewmats: Tensor,
    intrinsics: Tensor,
    backgrounds: Tensor | None,
    sh_degree: int | None,
) -> None:
    means, quats, scales, opacities, colors = tensors
    n, c, d = len(means), len(viewmats), colors.shape[-1]
    wanted = {
        "means": (means, (n, 3)),
        "quats": (quats, (n, 4)),
        "scales": (scales, (n, 3)),
        "opacities": (opacities, (n,)),
        "viewmats": (viewmats, (max(c, 1), 4, 4)),
        "Ks": (intrinsics, (c, 3, 3)),
    }
    if sh_degree is None:
        wanted["colors"] = (colors, (c, n, max(d, 1)) if colors.ndim == 3 else (n, max(d, 1)))
    elif sh_degree not in {0, 1, 2, 3}:
        raise UsageError(f"sh_degree: found {sh_degree}, expected 0, 1, 2 or 3")
    else:
        k = colors.shape[1] if colors.ndim == 3 else 0
        wanted["colors"] = (colors, (n, max(k, (sh_degree + 1) ** 2), 3))
    if backgrounds is not None:
        wanted["backgrounds"] = (backgrounds, (c, d))
    for name, (tensor, shape) in wanted.items():
        if tensor.shape != shape or tensor.dtype != torch.float32:
            raise UsageError(
                f"{name}: found {tensor.dtype} {tuple(tensor.shape)}, "
                f"expected torch.float32 {shape}"
            )


def _check_numba(
    tensors: tuple[Tensor, ...], backgrounds: Tensor | None, tile_size: int, max_alpha: float
) -> None:
    everything = tensors if backgrounds is None else (*tensors, backgrounds)
    for tensor in everything:
        if tensor.device.type != "cpu":
            raise UsageError(
                f"backend numba: found a tensor on {tensor.device}, expected all on the CPU"
            )
    if any(camera.requires_grad for camera in tensors[5:]):
        raise UsageError("backend numba: viewmats and Ks have no gradients; detach them")
    if tile_size != 16:
        raise UsageError(f"backend numba: found tile_size {tile_size}, expected 16")
    if not 0 < max_alpha < 1:
        raise UsageError(f"max_alpha: found {max_alpha}, expected more than 0 and less than 1")


def _camera(viewmat: Tensor, intrinsics: Tensor, width: int, height: int) -> Camera:
    k = intrinsics.numpy().astype(np.float64)
    if k[0, 1] != 0:
        raise UsageError(f"Ks: found skew {k[0, 1]}, expected 0")
    lens = (float(k[0, 0]), float(k[1, 1]), float(k[0, 2]), float(k[1, 2]))
    return Camera(width, height, *lens, viewmat.numpy().astype(np.float64))


def _by_gsplat(
    arguments: tuple[Any, ...],
    max_alpha: float,
    backgrounds: Tensor | None,
    **options: Any,
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    try:
        import gsplat
    except ImportError as error:
        raise UsageError("CUDA tensors need gsplat; pip install 'gscodec[gpu]'") from error
    if gsplat.__version__ != GSPLAT:
        raise UsageError(f"gsplat: found {gsplat.__version__}, expected {GSPLAT}")
    if max_alpha != GSPLAT_MAX_ALPHA:
        raise UsageError(
            f"backend gsplat: found max_alpha {max_alpha}, expected {GSPLAT_MAX_ALPHA}, "
            "the only one it has"
        )
    means, viewmats = arguments[0], arguments[5]
    if not means.is_cuda:
        raise UsageError(f"backend gsplat: found means on {means.device}, expected on cuda")
    image, alphas, meta = gsplat.rasterization(*arguments, **options)
    if backgrounds is not None and "RGB" in options["render_mode"]:
        # Not left to gsplat, which refuses them with packed=True.
        behind = (1 - alphas) * backgrounds[:, None, None]
        colors = backgrounds.shape[-1]
        image = torch.cat([image[..., :colors] + behind, image[..., colors:]], dim=-1)
    if options["packed"]:
        size = (len(viewmats), len(means))
        drawn = torch.zeros(size, dtype=torch.bool, device=means.device)
        drawn[meta["camera_ids"], meta["gaussian_ids"]] = True
    else:
        drawn = (meta["radii"] > 0).all(dim=-1)
    return image, alphas, {**meta, "drawn": drawn}
