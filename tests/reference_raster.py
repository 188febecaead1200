"""Gaussians to pixels in float64, written from the conventions and not from the kernels.

Dense: every Gaussian at every pixel, no tiles, no boxes; gradients are torch's own. Slow, for
a few hundred Gaussians on small pictures. Spherical harmonics come from Legendre's recurrence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from gscodec.camera import Camera
    from gscodec.render.splat import Conventions

# Floats of 32 bits may fall on the other side of a threshold that is this close, relatively.
CLOSE = 1e-4


@dataclass(frozen=True)
class Drawing:
    """What the reference says.

    Attributes:
        image: (H, W, D) float64.
        alpha: (H, W) float64.
        depth: (H, W) float64, accumulated.
        doubtful: (H, W) bool, pixels in which something is so close to a threshold (1/255, the
            cap of alpha, the end of blending, the order of two depths) that rounding decides.
        drawn: (N,) bool, reaches a pixel.
    """

    image: Tensor
    alpha: Tensor
    depth: Tensor
    doubtful: Tensor
    drawn: Tensor


def draw(
    tensors: tuple[Tensor, ...],
    sh_degree: int | None,
    camera: Camera,
    conventions: Conventions,
    background: Tensor,
) -> Drawing:
    """Means, quats, scales, opacities, colours (float64, as for `rasterization`) as one picture."""
    means, quats, scales, opacities, colors = tensors
    pose = torch.from_numpy(camera.world_to_camera)
    in_view = means @ pose[:3, :3].T + pose[:3, 3]
    z = in_view[:, 2]
    kept = (z >= conventions.near_plane) & (z <= conventions.far_plane)
    depth = torch.where(kept, z, 1.0)
    x, y = in_view[:, 0] / depth, in_view[:, 1] / depth
    centres = torch.stack([camera.fx * x + camera.cx, camera.fy * y + camera.cy], dim=1)

    half_w, half_h = 0.5 * camera.width / camera.fx, 0.5 * camera.height / camera.fy
    u = x.clamp(
        -camera.cx / camera.fx - 0.3 * half_w,
        (camera.width - camera.cx) / camera.fx + 0.3 * half_w,
    )
    v = y.clamp(
        -camera.cy / camera.fy - 0.3 * half_h,
        (camera.height - camera.cy) / camera.fy + 0.3 * half_h,
    )
    zero = torch.zeros_like(depth)
    jacobian = torch.stack(
        [
            torch.stack([camera.fx / depth, zero, -camera.fx * u / depth], dim=1),
            torch.stack([zero, camera.fy / depth, -camera.fy * v / depth], dim=1),
        ],
        dim=1,
    )
    axes = pose[:3, :3] @ _rotations(quats) @ torch.diag_embed(scales)
    sharp = jacobian @ axes @ (jacobian @ axes).swapaxes(-1, -2)
    blurred = sharp + conventions.eps2d * torch.eye(2, dtype=torch.float64)
    if conventions.antialiased:
        ratio = torch.linalg.det(sharp) / torch.linalg.det(blurred)
        opacities = opacities * ratio.clamp(min=1e-300).sqrt()
    radii = (2 * (255 * opacities).clamp(min=1).log()).sqrt()[:, None]
    radii = radii * blurred.diagonal(dim1=1, dim2=2).sqrt()
    kept = kept & (radii.ceil() > conventions.radius_clip).any(dim=1)

    if sh_degree is not None:
        direction = torch.nn.functional.normalize(
            means - torch.from_numpy(camera.centre), dim=1
        )
        basis = harmonics(direction, sh_degree)
        colors = torch.einsum("nk,nkc->nc", basis, colors[:, : basis.shape[1]]) + 0.5
        colors = colors.clamp(min=0)

    order = torch.argsort(torch.where(kept, depth, torch.inf), stable=True)
    order = order[: int(kept.sum())]
    # Equal depths are drawn by index; nearly equal ones are in doubt.
    step = depth[order].diff()
    gap = (step > 0) & (step < 1e-6 * depth[order[:-1]])
    return _blend(
        centres[order],
        torch.linalg.inv(blurred[order]),
        opacities[order],
        torch.cat([colors, depth[:, None]], dim=1)[order],
        gap,
        order,
        len(means),
        camera,
        conventions.max_alpha,
        background,
    )


def _blend(
    centres: Tensor,
    conics: Tensor,
    opacities: Tensor,
    values: Tensor,
    gap: Tensor,
    order: Tensor,
    n: int,
    camera: Camera,
    max_alpha: float,
    background: Tensor,
) -> Drawing:
    x = torch.arange(camera.width, dtype=torch.float64) + 0.5 - centres[:, 0, None]
    y = torch.arange(camera.height, dtype=torch.float64) + 0.5 - centres[:, 1, None]
    along_x = 0.5 * conics[:, 0, 0, None] * x**2  # (V, W)
    along_y = 0.5 * conics[:, 1, 1, None] * y**2  # (V, H)
    mixed = (conics[:, 0, 1, None] * y)[:, :, None] * x[:, None]
    exponent = along_y[:, :, None] + along_x[:, None] + mixed  # (V, H, W)
    free = opacities[:, None, None] * torch.exp(-exponent)
    seen = free >= 1 / 255
    alpha = torch.where(seen, free.clamp(max=max_alpha), 0.0)
    # Transmittance only falls: blending has ended where it would be 1e-4 or less.
    after = torch.cumprod(1 - alpha, dim=0)
    before = torch.cat([torch.ones_like(after[:1]), after[:-1]])
    weights = torch.where(after > 1e-4, alpha * before, 0.0)
    light = 1 - weights.sum(dim=0)
    total = torch.einsum("vhw,vc->hwc", weights, values)
    image = total[..., :-1] + light[..., None] * background

    doubtful = ((free * 255 - 1).abs() < CLOSE) | ((free / max_alpha - 1).abs() < CLOSE)
    doubtful |= (after / 1e-4 - 1).abs() < 10 * CLOSE
    doubtful[1:] |= gap[:, None, None] & seen[1:] & seen[:-1]
    drawn = torch.zeros(n, dtype=torch.bool)
    drawn[order] = seen.flatten(1).any(dim=1)
    return Drawing(image, 1 - light, total[..., -1], doubtful.any(dim=0), drawn)


def _rotations(quats: Tensor) -> Tensor:
    """Rotation matrices (N, 3, 3): the sandwich q v q* of each unit vector v."""
    w = (quats / quats.norm(dim=1, keepdim=True))[:, :1]
    axis = (quats / quats.norm(dim=1, keepdim=True))[:, 1:]
    columns = []
    for unit in torch.eye(3, dtype=torch.float64):
        v = unit.expand_as(axis)
        cross = torch.linalg.cross(axis, v)
        columns.append(v + 2 * w * cross + 2 * torch.linalg.cross(axis, cross))
    return torch.stack(columns, dim=2)


def harmonics(direction: Tensor, degree: int) -> Tensor:
    """Real spherical harmonics (N, (degree + 1)^2) of unit vectors, Condon-Shortley phase kept.

    Y_lm is the associated Legendre function of z times cos(m phi), or sin(|m| phi) for m < 0,
    normalised. Times sin(theta)^m, cosines and sines are the parts of (x + i y)^m.
    """
    x, y, z = direction.unbind(dim=1)
    real, imaginary = [torch.ones_like(x)], [torch.zeros_like(x)]
    for _ in range(degree):
        a, b = real[-1], imaginary[-1]
        real.append(a * x - b * y)
        imaginary.append(a * y + b * x)
    # legendre[l, m] is P_l^m(z) over sin(theta)^m.
    legendre = {(0, 0): torch.ones_like(z)}
    for m in range(degree + 1):
        if m > 0:
            legendre[m, m] = -(2 * m - 1) * legendre[m - 1, m - 1]
        for order in range(m + 1, degree + 1):
            below = legendre[order - 2, m] if order - 2 >= m else torch.zeros_like(z)
            step = (2 * order - 1) * z * legendre[order - 1, m] - (order + m - 1) * below
            legendre[order, m] = step / (order - m)
    columns = []
    for order in range(degree + 1):
        for m in range(-order, order + 1):
            k = abs(m)
            norm = (2 * order + 1) / (4 * math.pi)
            norm *= math.factorial(order - k) / math.factorial(order + k) * (1 if k == 0 else 2)
            angle = imaginary[k] if m < 0 else real[k]
            columns.append(math.sqrt(norm) * legendre[order, k] * angle)
    return torch.stack(columns, dim=1)
