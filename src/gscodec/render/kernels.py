"""Rasterisation of Gaussians on the CPU: the numba kernels, forward and backward.

Strategy: project every Gaussian (and shade it), list for each 8 x 16 tile the Gaussians that
reach it in depth order, then blend tile by tile. Backward walks the same lists front to back
again and knows what lies behind from the final colour, so nothing is stored between the two.

Kernels take the first and the end of the rows that they are called for, then arrays of all
rows; `parts` calls them. Invariants: no atomics, and every sum is taken in one fixed order, so
that results do not depend on the number of threads. A kernel calls no compiled function that is
not ``inline="always"``: it would be compiled twice, see `parts`. Inner loops index with uint64:
numba's check for negative indices would keep LLVM from using vector instructions (three to five
times slower).

A projected Gaussian is opacity * exp(-p^2 - q^2) with p = pp dx + pq dy and q = qq dy, where dx
and dy lead from its centre to a pixel. Unlike the usual a dx^2 + 2 b dx dy + c dy^2 this cannot
cancel, however long and thin the ellipse is. Gradients are sums over p and q for that reason.

Conventions are those of gsplat 1.5.3: pixel centres at one half, +eps2d on the projected
covariance, alpha below 1/255 skipped, blending stops before transmittance falls to 1e-4.

All of it is one module because the cache looks for changes in this module and in that of a kernel
only.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gscodec.render.compiled import FAST, compiled, inlined

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDE, HIGH = 8, 16  # of a tile, pixels
# Columns of a projected Gaussian: centre x, y; pp, pq, qq; opacity; red, green, blue; reach in y.
COLUMNS = 10
# Columns of its gradient: sums of d loss / d exponent times 1, p, q, pp, pq, qq; then colour; and
# of its blending weights.
MOMENTS = 10
# Columns of what it is to a picture of some error, sums over pixels: the square of how the picture
# changes without it; its weights times those of all Gaussians of the pixel; its weights times the
# error, red, green, blue; the change times the error.
PRESENCE = 6
# Gaussians are listed in this many runs at once: fixed, so that lists do not depend on threads.
RUNS = 16
# Rows that a kernel is called for at a time, see `parts`.
GAUSSIANS_AT_ONCE = 4096
TILES_AT_ONCE = 64

_F = np.float32
_D = np.float64
_U = np.uint64
_SKIP = _F(1 / 255)
_STOP = _F(1e-4)
# Lists are made for alpha a little below 1/255, so that rounding leaves out no pixel.
_SLACK = 0.01
# Wider Gaussians (pixels) are not drawn: the square of 1 / width must be a float32.
_WIDEST = 1e18
# Division as in numpy: a check for zero would keep LLVM from using vector instructions.
_kernel = compiled(nogil=True, fastmath=FAST, error_model="numpy")


# Real spherical harmonics, degrees 0 to 3, in the signs and order of 3DGS.
_C0 = _F(0.28209479177387814)
_C1 = _F(0.4886025119029199)
_C2A, _C2B, _C2C = _F(1.0925484305920792), _F(0.31539156525252005), _F(0.5462742152960396)
_C3A, _C3B, _C3C = _F(0.5900435899266435), _F(2.890611442640554), _F(0.4570457994644658)
_C3D, _C3E = _F(0.3731763325901154), _F(1.445305721320277)


@inlined
def _basis(degree: int, x: Any, y: Any, z: Any, out: NDArray[np.float32]) -> None:
    """Basis functions (16,) at the unit direction x, y, z."""
    out[0] = _C0
    if degree > 0:
        out[1] = -_C1 * y
        out[2] = _C1 * z
        out[3] = -_C1 * x
    if degree > 1:
        xx, yy, zz = x * x, y * y, z * z
        out[4] = _C2A * x * y
        out[5] = -_C2A * y * z
        out[6] = _C2B * (_F(2) * zz - xx - yy)
        out[7] = -_C2A * x * z
        out[8] = _C2C * (xx - yy)
        if degree > 2:
            out[9] = -_C3A * y * (_F(3) * xx - yy)
            out[10] = _C3B * x * y * z
            out[11] = -_C3C * y * (_F(4) * zz - xx - yy)
            out[12] = _C3D * z * (_F(2) * zz - _F(3) * xx - _F(3) * yy)
            out[13] = -_C3C * x * (_F(4) * zz - xx - yy)
            out[14] = _C3E * z * (xx - yy)
            out[15] = -_C3A * x * (xx - _F(3) * yy)


@_kernel
def basis_functions(
    begin: int, end: int, degree: int, directions: NDArray[np.float32], out: NDArray[np.float32]
) -> None:
    """Fills ``out`` (N, 16) at unit ``directions`` (N, 3), as far as ``degree`` has functions."""
    for i in range(begin, end):
        _basis(degree, directions[i, 0], directions[i, 1], directions[i, 2], out[i])


@inlined
def _basis_slope(
    degree: int, x: Any, y: Any, z: Any, w: NDArray[np.float32], out: NDArray[np.float32]
) -> None:
    """Gradient (3,) by x, y, z of the sum of ``w`` (16,) times the basis functions."""
    dx = -_C1 * w[3]
    dy = -_C1 * w[1]
    dz = _C1 * w[2]
    if degree > 1:
        two = _F(2)
        dx += _C2A * y * w[4] - two * _C2B * x * w[6] - _C2A * z * w[7] + two * _C2C * x * w[8]
        dy += _C2A * x * w[4] - _C2A * z * w[5] - two * _C2B * y * w[6] - two * _C2C * y * w[8]
        dz += -_C2A * y * w[5] + _F(4) * _C2B * z * w[6] - _C2A * x * w[7]
        if degree > 2:
            xx, yy, zz = x * x, y * y, z * z
            xy, xz, yz = x * y, x * z, y * z
            three, six, eight = _F(3), _F(6), _F(8)
            dx += (
                -_C3A * six * xy * w[9]
                + _C3B * yz * w[10]
                + _C3C * two * xy * w[11]
                - _C3D * six * xz * w[12]
                - _C3C * (_F(4) * zz - three * xx - yy) * w[13]
                + _C3E * two * xz * w[14]
                - _C3A * three * (xx - yy) * w[15]
            )
            dy += (
                -_C3A * three * (xx - yy) * w[9]
                + _C3B * xz * w[10]
                - _C3C * (_F(4) * zz - xx - three * yy) * w[11]
                - _C3D * six * yz * w[12]
                + _C3C * two * xy * w[13]
                - _C3E * two * yz * w[14]
                + _C3A * six * xy * w[15]
            )
            dz += (
                _C3B * xy * w[10]
                - _C3C * eight * yz * w[11]
                + _C3D * (six * zz - three * xx - three * yy) * w[12]
                - _C3C * eight * xz * w[13]
                + _C3E * (xx - yy) * w[14]
            )
    out[0], out[1], out[2] = dx, dy, dz


@inlined
def _rotation(q: NDArray[np.float32], r: NDArray[np.float32]) -> Any:
    """Rotation matrix (9,) of a quaternion w, x, y, z of any length; returns 1 / length.

    The quaternion 0 turns nothing and has no gradient: 0 is returned.
    """
    qw, qx, qy, qz = _D(q[0]), _D(q[1]), _D(q[2]), _D(q[3])
    length = math.sqrt(qw * qw + qx * qx + qy * qy + qz * qz)
    inverse = _D(0) if length == 0 else _D(1) / length
    w, x, y, z = _F(qw * inverse), _F(qx * inverse), _F(qy * inverse), _F(qz * inverse)
    one, two = _F(1), _F(2)
    r[0], r[1], r[2] = one - two * (y * y + z * z), two * (x * y - w * z), two * (x * z + w * y)
    r[3], r[4], r[5] = two * (x * y + w * z), one - two * (x * x + z * z), two * (y * z - w * x)
    r[6], r[7], r[8] = two * (x * z - w * y), two * (y * z + w * x), one - two * (x * x + y * y)
    return inverse


@inlined
def _to_screen(
    view: NDArray[np.float32], lens: NDArray[np.float32], x: Any, y: Any, z: Any, t: Any
) -> Any:
    """Rows (2, 3) of Jacobian times view rotation, into ``t`` (6,); returns clamped x/z, y/z.

    ``lens`` is fx, fy, cx, cy, then the limits of x/z and y/z: low, high, low, high.
    """
    inverse = _F(1) / z
    u = min(max(x * inverse, lens[4]), lens[5])
    v = min(max(y * inverse, lens[6]), lens[7])
    jx, jy = lens[0] * inverse, lens[1] * inverse
    for k in range(3):
        t[k] = jx * (view[k] - u * view[8 + k])
        t[3 + k] = jy * (view[4 + k] - v * view[8 + k])
    return u, v


@inlined
def _axes(t: Any, r: Any, scales: NDArray[np.float32], u: NDArray[np.float64]) -> Any:
    """Axes on the screen, ``u`` (2, 3), and what follows: a, b, c, determinant.

    The covariance is u u^T = ((a, b), (b, c)), before the low-pass. Its determinant is the sum
    of squared minors, exact for needles too; so is what the low-pass adds to it.
    """
    for k in range(3):
        scale = _D(scales[k])
        u[0, k] = _D(t[0] * r[k] + t[1] * r[3 + k] + t[2] * r[6 + k]) * scale
        u[1, k] = _D(t[3] * r[k] + t[4] * r[3 + k] + t[5] * r[6 + k]) * scale
    a = u[0, 0] * u[0, 0] + u[0, 1] * u[0, 1] + u[0, 2] * u[0, 2]
    b = u[0, 0] * u[1, 0] + u[0, 1] * u[1, 1] + u[0, 2] * u[1, 2]
    c = u[1, 0] * u[1, 0] + u[1, 1] * u[1, 1] + u[1, 2] * u[1, 2]
    minor_0 = u[0, 1] * u[1, 2] - u[0, 2] * u[1, 1]
    minor_1 = u[0, 2] * u[1, 0] - u[0, 0] * u[1, 2]
    minor_2 = u[0, 0] * u[1, 1] - u[0, 1] * u[1, 0]
    return a, b, c, minor_0 * minor_0 + minor_1 * minor_1 + minor_2 * minor_2


@_kernel
def project(
    begin: int,
    end: int,
    means: NDArray[np.float32],
    quats: NDArray[np.float32],
    scales: NDArray[np.float32],
    opacities: NDArray[np.float32],
    colors: NDArray[np.float32],
    degree: int,
    view: NDArray[np.float32],
    lens: NDArray[np.float32],
    size: tuple[int, int],
    near: float,
    far: float,
    eps2d: float,
    radius_clip: float,
    antialiased: bool,
    splats: NDArray[np.float32],
    depths: NDArray[np.float32],
    rows: NDArray[np.int32],
) -> None:
    """Fills ``splats`` (N, COLUMNS), ``depths`` (N,) and ``rows`` (N, 2) of tiles: first, end.

    ``colors`` (N, K, 3) are SH coefficients if ``degree`` >= 0, else (N, 1, D) colours, of which
    the first three are taken. A Gaussian that cannot be seen, or that has a value which is not
    a number, has no rows (end = first).
    """
    width, height = size
    down = (height + HIGH - 1) // HIGH
    centre = np.empty(3, np.float32)
    for k in range(3):
        centre[k] = -(view[k] * view[3] + view[4 + k] * view[7] + view[8 + k] * view[11])
    r, t = np.empty(9, np.float32), np.empty(6, np.float32)
    u = np.empty((2, 3), np.float64)
    basis = np.empty(16, np.float32)
    for i in range(begin, end):
        rows[i, 0] = rows[i, 1] = 0
        px, py, pz = means[i, 0], means[i, 1], means[i, 2]
        x = view[0] * px + view[1] * py + view[2] * pz + view[3]
        y = view[4] * px + view[5] * py + view[6] * pz + view[7]
        z = view[8] * px + view[9] * py + view[10] * pz + view[11]
        if not (z >= _F(near) and z <= _F(far) and z > 0):
            continue
        _rotation(quats[i], r)
        _to_screen(view, lens, x, y, z, t)
        a, b, c, sharp = _axes(t, r, scales[i], u)
        det = sharp + eps2d * (a + c) + eps2d * eps2d
        a += eps2d
        c += eps2d
        if not (det > 0 and max(a, c) < _WIDEST * _WIDEST):
            continue
        opacity: Any = _D(opacities[i])
        if opacity > 1:
            opacity = 1.0
        if antialiased:
            opacity *= math.sqrt(sharp / det)
        if not opacity >= _SKIP:
            continue
        # Beyond this exponent alpha is below 1/255.
        limit = math.log(255.0 * opacity)
        if math.ceil(math.sqrt(2.0 * limit * max(a, c))) <= radius_clip:
            continue
        limit += _SLACK
        reach_x, reach_y = math.sqrt(2.0 * limit * a), math.sqrt(2.0 * limit * c)
        mx, my = _D(lens[0] * x / z + lens[2]), _D(lens[1] * y / z + lens[3])
        if not (mx + reach_x >= 0.5 and mx - reach_x <= width - 0.5):
            continue
        y0 = int(min(max(math.ceil((my - reach_y - (HIGH - 0.5)) / HIGH), 0.0), _D(down)))
        y1 = int(min(max(math.floor((my + reach_y - 0.5) / HIGH) + 1.0, 0.0), _D(down)))
        if y1 <= y0:
            continue
        total: Any = _F(0)
        if degree < 0:
            for channel in range(colors.shape[2]):
                total += abs(colors[i, 0, channel])
            for channel in range(3):
                there = channel < colors.shape[2]
                splats[i, 6 + channel] = colors[i, 0, channel] if there else _F(0)
        else:
            dx, dy, dz = px - centre[0], py - centre[1], pz - centre[2]
            length = _F(1) / _F(math.sqrt(dx * dx + dy * dy + dz * dz))
            _basis(degree, dx * length, dy * length, dz * length, basis)
            for channel in range(3):
                value = _F(0.5)
                for k in range((degree + 1) * (degree + 1)):
                    value += basis[k] * colors[i, k, channel]
                splats[i, 6 + channel] = max(value, _F(0))
                total += abs(value)
        if not total < np.inf:
            continue
        rows[i, 0], rows[i, 1] = y0, y1
        depths[i] = z
        splats[i, 0], splats[i, 1] = mx, my
        splats[i, 2] = math.sqrt(0.5 * c / det)
        splats[i, 3] = -b * math.sqrt(0.5 / (c * det))
        splats[i, 4] = math.sqrt(0.5 / c)
        splats[i, 5] = opacity
        splats[i, 9] = reach_y


@_kernel
def find_spans(
    begin: int,
    end: int,
    splats: NDArray[np.float32],
    order: NDArray[np.int64],
    rows: NDArray[np.int32],
    first: NDArray[np.int64],
    across: int,
    spans: NDArray[np.int32],
    counts: NDArray[np.int64],
) -> None:
    """The tiles that each Gaussian reaches, row by row: columns ``spans`` (R, 2), first and end.

    ``order`` (V,) are Gaussians by depth, ``rows`` (V, 2) their rows of tiles, ``first`` (V,)
    where their spans begin. ``counts`` (N,) is how many tiles each reaches. A tile is reached if
    the ellipse, cut to the pixel centres of the row of tiles, reaches over one of its columns
    of pixel centres: exact. Floats decide it here and nowhere else, since two compilations of
    the same comparison may disagree.
    """
    edge, per_tile = _F(across), _F(1 / WIDE)
    for rank in range(begin, end):
        i = order[rank]
        mx, my, reach = splats[i, 0], splats[i, 1], splats[i, 9]
        pp, pq, qq = splats[i, 2], splats[i, 3], splats[i, 4]
        limit = (reach * qq) * (reach * qq)
        turn = pq * reach / _F(math.sqrt(pq * pq + qq * qq))  # y of the point farthest left
        per_pp = _F(1) / pp
        k, n = first[rank], 0
        for row in range(rows[rank, 0], rows[rank, 1]):
            top = _F(row * HIGH) + _F(0.5) - my
            low, high = max(top, -reach), min(top + _F(HIGH - 1), reach)
            y = min(max(turn, low), high)
            half = _F(math.sqrt(max(limit - (qq * y) * (qq * y), _F(0))))
            left = mx - (pq * y + half) * per_pp
            y = min(max(-turn, low), high)
            half = _F(math.sqrt(max(limit - (qq * y) * (qq * y), _F(0))))
            right = mx - (pq * y - half) * per_pp
            x0 = int(min(max((left + _F(0.5)) * per_tile, _F(0)), edge))
            x1 = int(min(max((right - _F(0.5)) * per_tile + _F(1), _F(0)), edge))
            if low > high or x1 < x0:
                x1 = x0
            spans[k, 0], spans[k, 1] = x0, x1
            n += x1 - x0
            k += 1
        counts[i] = n


@_kernel
def tally_tiles(
    begin: int,
    end: int,
    rows: NDArray[np.int32],
    first: NDArray[np.int64],
    across: int,
    spans: NDArray[np.int32],
    tally: NDArray[np.int32],
) -> None:
    """How many Gaussians of each run reach each tile, into ``tally`` (RUNS, tiles).

    A run is one of RUNS equal parts of the Gaussians by depth.
    """
    visible = len(rows)
    for run in range(begin, end):
        for rank in range(run * visible // RUNS, (run + 1) * visible // RUNS):
            k = first[rank]
            for row in range(rows[rank, 0], rows[rank, 1]):
                for tile in range(row * across + spans[k, 0], row * across + spans[k, 1]):
                    tally[run, tile] += 1
                k += 1


@_kernel
def fill_lists(
    begin: int,
    end: int,
    order: NDArray[np.int64],
    rows: NDArray[np.int32],
    first: NDArray[np.int64],
    across: int,
    spans: NDArray[np.int32],
    first_pair: NDArray[np.int64],
    places: NDArray[np.int64],
    lists: NDArray[np.int32],
) -> None:
    """Lists of the tiles, near to far: columns ``lists`` (P, 2), Gaussian and pair.

    Pairs are numbered by Gaussian: those of i begin at ``first_pair[i]``. ``places`` (RUNS,
    tiles) is where a run begins in the list of a tile; it is used up.
    """
    visible = len(rows)
    for run in range(begin, end):
        for rank in range(run * visible // RUNS, (run + 1) * visible // RUNS):
            i, k = order[rank], first[rank]
            pair = first_pair[i]
            for row in range(rows[rank, 0], rows[rank, 1]):
                for tile in range(row * across + spans[k, 0], row * across + spans[k, 1]):
                    place = places[run, tile]
                    places[run, tile] = place + 1
                    lists[place, 0] = i
                    lists[place, 1] = pair
                    pair += 1
                k += 1


@inlined
def falloff(exponent: Any) -> Any:
    """exp(-exponent) for 0 <= exponent <= 5.6, relative error below 1e-6: a power of eight."""
    u = exponent * _F(-0.125)
    e = _F(1.0 / 5040) * u + _F(1.0 / 720)
    e = e * u + _F(1.0 / 120)
    e = e * u + _F(1.0 / 24)
    e = e * u + _F(1.0 / 6)
    e = e * u + _F(0.5)
    e = e * u + _F(1)
    e = e * u + _F(1)
    e = e * e
    e = e * e
    return e * e


# Scratch of a tile: one array, planes at fixed places, so that no two can overlap.
_PLANE = WIDE * HIGH
_T, _LIVE, _RED, _GREEN, _BLUE = 0, _PLANE, 2 * _PLANE, 3 * _PLANE, 4 * _PLANE
_BEHIND = 5 * _PLANE
_X, _Y = 6 * _PLANE, 7 * _PLANE  # of the pixels of a tile
_SCRATCH = 8 * _PLANE


@inlined
def _open_tile(
    buffer: NDArray[np.float32], left: int, top: int, width: int, height: int
) -> None:
    """Transmittance 1 everywhere; pixels outside of the picture are not alive."""
    for y in range(HIGH):
        for x in range(WIDE):
            inside = left + x < width and top + y < height
            buffer[_T + y * WIDE + x] = _F(1)
            buffer[_LIVE + y * WIDE + x] = _F(1) if inside else _F(0)
            buffer[_X + y * WIDE + x], buffer[_Y + y * WIDE + x] = _F(x), _F(y)


@inlined
def _alive(buffer: NDArray[np.float32]) -> Any:
    total = _F(0)
    for p in range(_PLANE):
        total += buffer[_U(_LIVE + p)]
    return total > 0


@inlined
def _rows_in_tile(my: Any, reach: Any) -> Any:
    """First pixel and end of the rows of a tile that a Gaussian reaches, its centre at ``my``.

    Over whole rows there is one loop, not one in another: sums are added up once at its end.
    """
    first = max(my - reach + _F(1), _F(0))
    beyond = max(min(my + reach + _F(1), _F(HIGH)), first)
    return _U(int(first) * WIDE), _U(int(beyond) * WIDE)


@_kernel
def blend(
    begin: int,
    end: int,
    splats: NDArray[np.float32],
    starts: NDArray[np.int64],
    lists: NDArray[np.int32],
    max_alpha: float,
    background: NDArray[np.float32],
    image: NDArray[np.float32],
    transmittance: NDArray[np.float32],
) -> None:
    """Blends near to far into ``image`` (H, W, 3) and ``transmittance`` (H, W).

    The list of a tile is ``lists[starts[tile] : starts[tile + 1]]``, see `fill_lists`.
    """
    height, width = transmittance.shape
    across = (width + WIDE - 1) // WIDE
    limit = _F(max_alpha)
    for tile in range(begin, end):
        left, top = (tile % across) * WIDE, (tile // across) * HIGH
        buffer = np.zeros(_SCRATCH, np.float32)
        _open_tile(buffer, left, top, width, height)
        for k in range(starts[tile], starts[tile + 1]):
            i = lists[k, 0]
            mx = splats[i, 0] - _F(left) - _F(0.5)
            my = splats[i, 1] - _F(top) - _F(0.5)
            pp, pq, qq = splats[i, 2], splats[i, 3], splats[i, 4]
            opacity, reach = splats[i, 5], splats[i, 9]
            red, green, blue = splats[i, 6], splats[i, 7], splats[i, 8]
            first, beyond = _rows_in_tile(my, reach)
            for at in range(first, beyond):
                dy = buffer[_U(_Y) + at] - my
                q = qq * dy
                p = pp * (buffer[_U(_X) + at] - mx) + pq * dy
                qsquared = q * q
                alpha = min(opacity * falloff(min(p * p + qsquared, _F(5.6))), limit)
                alpha = alpha if alpha >= _SKIP else _F(0)
                t = buffer[_U(_T) + at]
                live = buffer[_U(_LIVE) + at]
                live = live if t * (_F(1) - alpha) > _STOP else _F(0)
                weight = alpha * t * live
                buffer[_U(_LIVE) + at] = live
                buffer[_U(_T) + at] = t - weight
                buffer[_U(_RED) + at] += weight * red
                buffer[_U(_GREEN) + at] += weight * green
                buffer[_U(_BLUE) + at] += weight * blue
            if (k & 7) == 7 and not _alive(buffer):
                break
        for y in range(min(HIGH, height - top)):
            for x in range(min(WIDE, width - left)):
                spot, v, u = y * WIDE + x, top + y, left + x
                t = buffer[_T + spot]
                transmittance[v, u] = t
                image[v, u, 0] = buffer[_RED + spot] + t * background[0]
                image[v, u, 1] = buffer[_GREEN + spot] + t * background[1]
                image[v, u, 2] = buffer[_BLUE + spot] + t * background[2]


@_kernel
def blend_backward(
    begin: int,
    end: int,
    splats: NDArray[np.float32],
    starts: NDArray[np.int64],
    lists: NDArray[np.int32],
    max_alpha: float,
    image: NDArray[np.float32],
    transmittance: NDArray[np.float32],
    by_image: NDArray[np.float32],
    by_alpha: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Moments of each pair of Gaussian and tile into ``out`` (pairs, MOMENTS).

    ``by_image`` (H, W, 3) and ``by_alpha`` (H, W) are the gradients of the loss by the picture
    and by its alpha (1 - transmittance). What lies behind an entry counts by its product with
    ``by_image`` only: one number per pixel, found from the final colour.
    """
    height, width = transmittance.shape
    across = (width + WIDE - 1) // WIDE
    limit = _F(max_alpha)
    for tile in range(begin, end):
        left, top = (tile % across) * WIDE, (tile // across) * HIGH
        buffer = np.zeros(_SCRATCH, np.float32)
        _open_tile(buffer, left, top, width, height)
        for y in range(min(HIGH, height - top)):
            for x in range(min(WIDE, width - left)):
                spot, v, u = y * WIDE + x, top + y, left + x
                r, g, b = by_image[v, u, 0], by_image[v, u, 1], by_image[v, u, 2]
                buffer[_RED + spot], buffer[_GREEN + spot], buffer[_BLUE + spot] = r, g, b
                behind = r * image[v, u, 0] + g * image[v, u, 1] + b * image[v, u, 2]
                buffer[_BEHIND + spot] = behind - by_alpha[v, u] * transmittance[v, u]
        for k in range(starts[tile], starts[tile + 1]):
            i = lists[k, 0]
            mx = splats[i, 0] - _F(left) - _F(0.5)
            my = splats[i, 1] - _F(top) - _F(0.5)
            pp, pq, qq = splats[i, 2], splats[i, 3], splats[i, 4]
            opacity, reach = splats[i, 5], splats[i, 9]
            red, green, blue = splats[i, 6], splats[i, 7], splats[i, 8]
            s = sp = sq = spp = spq = sqq = by_red = by_green = by_blue = total = _F(0)
            first, beyond = _rows_in_tile(my, reach)
            for at in range(first, beyond):
                dy = buffer[_U(_Y) + at] - my
                q = qq * dy
                p = pp * (buffer[_U(_X) + at] - mx) + pq * dy
                qsquared = q * q
                free = opacity * falloff(min(p * p + qsquared, _F(5.6)))
                alpha = min(free, limit)
                alpha = alpha if alpha >= _SKIP else _F(0)
                t = buffer[_U(_T) + at]
                rest = _F(1) - alpha
                live = buffer[_U(_LIVE) + at]
                live = live if t * rest > _STOP else _F(0)
                weight = alpha * t * live
                buffer[_U(_LIVE) + at] = live
                buffer[_U(_T) + at] = t - weight
                g0 = buffer[_U(_RED) + at]
                g1 = buffer[_U(_GREEN) + at]
                g2 = buffer[_U(_BLUE) + at]
                own = g0 * red + g1 * green + g2 * blue
                behind = buffer[_U(_BEHIND) + at] - weight * own
                buffer[_U(_BEHIND) + at] = behind
                by_red += weight * g0
                by_green += weight * g1
                by_blue += weight * g2
                total += weight
                # The gradient is zero where alpha is capped.
                ds = live * alpha * (behind / rest - t * own)
                ds = ds if free <= limit else _F(0)
                s += ds
                sp += ds * p
                sq += ds * q
                spp += ds * p * p
                spq += ds * p * q
                sqq += ds * qsquared
            pair = lists[k, 1]
            out[pair, 0], out[pair, 1], out[pair, 2] = s, sp, sq
            out[pair, 3], out[pair, 4], out[pair, 5] = spp, spq, sqq
            out[pair, 6], out[pair, 7], out[pair, 8] = by_red, by_green, by_blue
            out[pair, 9] = total
            if (k & 7) == 7 and not _alive(buffer):
                for rest_of_list in range(k + 1, starts[tile + 1]):
                    out[lists[rest_of_list, 1]] = _F(0)
                break


@inlined
def _blend_kept(
    splats: NDArray[np.float32],
    starts: NDArray[np.int64],
    lists: NDArray[np.int32],
    limit: Any,
    tile: int,
    left: int,
    top: int,
    buffer: NDArray[np.float32],
    weights: NDArray[np.float32],
    ends: NDArray[np.int64],
) -> Any:
    """Blends a tile that was opened, as `blend` does; returns how far its list was followed.

    ``weights`` are kept, packed, and where the pixels of each entry begin and end: computed
    twice, with sums in another order, the rows that a Gaussian reaches may differ.
    """
    kept = 0
    beyond_last = starts[tile]
    for k in range(starts[tile], starts[tile + 1]):
        i = lists[k, 0]
        mx = splats[i, 0] - _F(left) - _F(0.5)
        my = splats[i, 1] - _F(top) - _F(0.5)
        pp, pq, qq = splats[i, 2], splats[i, 3], splats[i, 4]
        opacity, reach = splats[i, 5], splats[i, 9]
        red, green, blue = splats[i, 6], splats[i, 7], splats[i, 8]
        first, beyond = _rows_in_tile(my, reach)
        place = _U(kept) - first  # may wrap around, and does so back again
        for at in range(first, beyond):
            dy = buffer[_U(_Y) + at] - my
            q = qq * dy
            p = pp * (buffer[_U(_X) + at] - mx) + pq * dy
            qsquared = q * q
            alpha = min(opacity * falloff(min(p * p + qsquared, _F(5.6))), limit)
            alpha = alpha if alpha >= _SKIP else _F(0)
            t = buffer[_U(_T) + at]
            live = buffer[_U(_LIVE) + at]
            live = live if t * (_F(1) - alpha) > _STOP else _F(0)
            weight = alpha * t * live
            weights[place + at] = weight
            buffer[_U(_LIVE) + at] = live
            buffer[_U(_T) + at] = t - weight
            buffer[_U(_RED) + at] += weight * red
            buffer[_U(_GREEN) + at] += weight * green
            buffer[_U(_BLUE) + at] += weight * blue
        kept += int(beyond - first)
        ends[k - starts[tile], 0], ends[k - starts[tile], 1] = first, beyond
        beyond_last = k + 1
        if (k & 7) == 7 and not _alive(buffer):
            break
    return beyond_last


@_kernel
def blend_without(
    begin: int,
    end: int,
    splats: NDArray[np.float32],
    starts: NDArray[np.int64],
    lists: NDArray[np.int32],
    max_alpha: float,
    behind: NDArray[np.float32],
    target: NDArray[np.float32],
    image: NDArray[np.float32],
    transmittance: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """As `blend` over black, and what each pair of Gaussian and tile is to the picture.

    ``out`` (pairs, PRESENCE) is told of the picture over the grey values ``behind`` (H, W), which
    is wrong by what it differs from its ``target`` (H, W, 3); nothing is wrong if that is empty.
    Blending is linear in every alpha: with T what shines through to a Gaussian, c its colour and
    R what is added behind it, without it the pixel changes by d = alpha (R / (1 - alpha) - T c),
    and the square of the error by d (d + 2 error). What blending never reached stays unknown, at
    most `_STOP` / (1 - alpha) of the pixel. Weights are kept in between.
    """
    height, width = transmittance.shape
    across = (width + WIDE - 1) // WIDE
    limit = _F(max_alpha)
    aimed = target.size > 0
    weights, ends = np.empty(0, np.float32), np.empty((0, 2), np.int64)
    for tile in range(begin, end):
        left, top = (tile % across) * WIDE, (tile // across) * HIGH
        buffer = np.zeros(_SCRATCH + 3 * _PLANE, np.float32)
        _open_tile(buffer, left, top, width, height)
        if len(ends) < starts[tile + 1] - starts[tile]:
            weights = np.empty((starts[tile + 1] - starts[tile]) * _PLANE, np.float32)
            ends = np.empty((starts[tile + 1] - starts[tile], 2), np.int64)
        beyond_last = _blend_kept(
            splats, starts, lists, limit, tile, left, top, buffer, weights, ends
        )
        for y in range(min(HIGH, height - top)):
            for x in range(min(WIDE, width - left)):
                spot, v, u = y * WIDE + x, top + y, left + x
                t = buffer[_T + spot]
                transmittance[v, u] = t
                buffer[_BEHIND + spot] = _F(1) - t
                for channel in range(3):
                    value = buffer[_RED + channel * _PLANE + spot]
                    image[v, u, channel] = value
                    value += t * behind[v, u]
                    buffer[_RED + channel * _PLANE + spot] = value
                    if aimed:
                        value -= target[v, u, channel]
                        buffer[_SCRATCH + channel * _PLANE + spot] = value
        for spot in range(_PLANE):
            buffer[_T + spot] = _F(1)
        kept = 0
        for k in range(starts[tile], beyond_last):
            i = lists[k, 0]
            red, green, blue = splats[i, 6], splats[i, 7], splats[i, 8]
            change = agreed = shared = by_red = by_green = by_blue = _F(0)
            first, beyond = _U(ends[k - starts[tile], 0]), _U(ends[k - starts[tile], 1])
            place = _U(kept) - first
            for at in range(first, beyond):
                weight = weights[place + at]
                rest = buffer[_U(_T) + at] - weight
                buffer[_U(_T) + at] = rest
                r = buffer[_U(_RED) + at] - weight * red
                g = buffer[_U(_GREEN) + at] - weight * green
                b = buffer[_U(_BLUE) + at] - weight * blue
                buffer[_U(_RED) + at] = r
                buffer[_U(_GREEN) + at] = g
                buffer[_U(_BLUE) + at] = b
                odds = weight / rest  # alpha / (1 - alpha)
                r = odds * r - weight * red
                g = odds * g - weight * green
                b = odds * b - weight * blue
                e0 = buffer[_U(_SCRATCH) + at]
                e1 = buffer[_U(_SCRATCH + _PLANE) + at]
                e2 = buffer[_U(_SCRATCH + 2 * _PLANE) + at]
                change += r * r + g * g + b * b
                agreed += r * e0 + g * e1 + b * e2
                shared += weight * buffer[_U(_BEHIND) + at]
                by_red += weight * e0
                by_green += weight * e1
                by_blue += weight * e2
            kept += int(beyond - first)
            pair = lists[k, 1]
            out[pair, 0], out[pair, 1] = change, shared
            out[pair, 2], out[pair, 3], out[pair, 4] = by_red, by_green, by_blue
            out[pair, 5] = agreed
        for k in range(beyond_last, starts[tile + 1]):
            out[lists[k, 1]] = _F(0)


@_kernel
def blend_lacking(
    begin: int,
    end: int,
    splats: NDArray[np.float32],
    starts: NDArray[np.int64],
    lists: NDArray[np.int32],
    max_alpha: float,
    target: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Blends a picture, and gathers what it lacks by the weights that it was blended with.

    ``out`` (pairs, 4) is for each pair of Gaussian and tile W^T (``target`` - W c), with the
    weights W of all pixels, the colours c and a ``target`` (H, W, 3); then its weights times
    those of all Gaussians of the pixel. Weights are kept in between.
    """
    height, width = target.shape[0], target.shape[1]
    across = (width + WIDE - 1) // WIDE
    limit = _F(max_alpha)
    weights, ends = np.empty(0, np.float32), np.empty((0, 2), np.int64)
    for tile in range(begin, end):
        left, top = (tile % across) * WIDE, (tile // across) * HIGH
        buffer = np.zeros(_SCRATCH, np.float32)
        _open_tile(buffer, left, top, width, height)
        if len(ends) < starts[tile + 1] - starts[tile]:
            weights = np.empty((starts[tile + 1] - starts[tile]) * _PLANE, np.float32)
            ends = np.empty((starts[tile + 1] - starts[tile], 2), np.int64)
        beyond_last = _blend_kept(
            splats, starts, lists, limit, tile, left, top, buffer, weights, ends
        )
        for y in range(min(HIGH, height - top)):
            for x in range(min(WIDE, width - left)):
                spot, v, u = y * WIDE + x, top + y, left + x
                buffer[_RED + spot] = target[v, u, 0] - buffer[_RED + spot]
                buffer[_GREEN + spot] = target[v, u, 1] - buffer[_GREEN + spot]
                buffer[_BLUE + spot] = target[v, u, 2] - buffer[_BLUE + spot]
        kept = 0
        for k in range(starts[tile], beyond_last):
            first, beyond = _U(ends[k - starts[tile], 0]), _U(ends[k - starts[tile], 1])
            place = _U(kept) - first
            by_red = by_green = by_blue = shared = _F(0)
            for at in range(first, beyond):
                weight = weights[place + at]
                by_red += weight * buffer[_U(_RED) + at]
                by_green += weight * buffer[_U(_GREEN) + at]
                by_blue += weight * buffer[_U(_BLUE) + at]
                shared += weight * (_F(1) - buffer[_U(_T) + at])
            kept += int(beyond - first)
            pair = lists[k, 1]
            out[pair, 0], out[pair, 1], out[pair, 2] = by_red, by_green, by_blue
            out[pair, 3] = shared
        for k in range(beyond_last, starts[tile + 1]):
            out[lists[k, 1]] = _F(0)


@_kernel
def gather(
    begin: int,
    end: int,
    by_pair: NDArray[np.float32],
    first_pair: NDArray[np.int64],
    out: NDArray[np.float32],
) -> None:
    """Sums what pairs have of each Gaussian over its tiles, always in the same order."""
    for i in range(begin, end):
        for m in range(out.shape[1]):
            out[i, m] = _F(0)
        for pair in range(first_pair[i], first_pair[i + 1]):
            for m in range(out.shape[1]):
                out[i, m] += by_pair[pair, m]


@_kernel
def project_backward(
    begin: int,
    end: int,
    means: NDArray[np.float32],
    quats: NDArray[np.float32],
    scales: NDArray[np.float32],
    opacities: NDArray[np.float32],
    colors: NDArray[np.float32],
    degree: int,
    view: NDArray[np.float32],
    lens: NDArray[np.float32],
    antialiased: bool,
    splats: NDArray[np.float32],
    first_pair: NDArray[np.int64],
    moments: NDArray[np.float32],
    by_means: NDArray[np.float32],
    by_quats: NDArray[np.float32],
    by_scales: NDArray[np.float32],
    by_opacities: NDArray[np.float32],
    by_colors: NDArray[np.float32],
) -> None:
    """Adds the gradients of the drawn Gaussians, from their ``moments`` (N, MOMENTS).

    By SH coefficients too, unless ``by_colors`` has none; by colours (``degree`` < 0) moments
    are gradients already.
    """
    wanted = by_colors.shape[1] > 0
    centre = np.empty(3, np.float32)
    for k in range(3):
        centre[k] = -(view[k] * view[3] + view[4 + k] * view[7] + view[8 + k] * view[11])
    r, t = np.empty(9, np.float32), np.empty(6, np.float32)
    axes = np.empty((2, 3), np.float64)
    by_r, by_t = np.empty(9, np.float32), np.empty(6, np.float32)
    basis, weights = np.empty(16, np.float32), np.empty(16, np.float32)
    slope = np.empty(3, np.float32)
    two, half = _F(2), _F(0.5)
    for i in range(begin, end):
        if first_pair[i + 1] == first_pair[i]:
            continue
        pp, pq, qq = splats[i, 2], splats[i, 3], splats[i, 4]
        s, sp, sq = moments[i, 0], moments[i, 1], moments[i, 2]
        spp, spq, sqq = moments[i, 3], moments[i, 4], moments[i, 5]
        # With L = ((pp, pq), (0, qq)), exponent = |L d|^2: its gradient by the centre is
        # -2 L^T (p, q), and by the covariance -2 L^T (p, q) (p, q)^T L.
        by_mx = -two * pp * sp
        by_my = -two * (pq * sp + qq * sq)
        cov_a = -two * pp * pp * spp
        cov_b = -two * pp * (pq * spp + qq * spq)  # of each of the two equal entries
        cov_c = -two * (pq * pq * spp + two * pq * qq * spq + qq * qq * sqq)

        px, py, pz = means[i, 0], means[i, 1], means[i, 2]
        x = view[0] * px + view[1] * py + view[2] * pz + view[3]
        y = view[4] * px + view[5] * py + view[6] * pz + view[7]
        z = view[8] * px + view[9] * py + view[10] * pz + view[11]
        inverse_length = _rotation(quats[i], r)
        u, v = _to_screen(view, lens, x, y, z, t)
        a, b, c, sharp = _axes(t, r, scales[i], axes)

        if opacities[i] <= 1:
            by_opacities[i] -= s / (opacities[i] if antialiased else splats[i, 5])
        if antialiased:
            # Opacity was multiplied by the root of the determinant before over after low-pass.
            g = _D(-half * s)
            cov_a += _F(g * (c / sharp - two * pp * pp))
            cov_b += _F(g * (-b / sharp - two * pp * pq))
            cov_c += _F(g * (a / sharp - two * (pq * pq + qq * qq)))

        # cov = U U^T with U = t r diag(scale): d/dU = 2 (d/d cov) U.
        by_t[:] = _F(0)
        for k in range(3):
            scale = scales[i, k]
            w0 = t[0] * r[k] + t[1] * r[3 + k] + t[2] * r[6 + k]
            w1 = t[3] * r[k] + t[4] * r[3 + k] + t[5] * r[6 + k]
            g0 = two * _F(cov_a * axes[0, k] + cov_b * axes[1, k])
            g1 = two * _F(cov_b * axes[0, k] + cov_c * axes[1, k])
            by_scales[i, k] += g0 * w0 + g1 * w1
            for j in range(3):
                by_r[3 * j + k] = scale * (g0 * t[j] + g1 * t[3 + j])
                by_t[j] += g0 * scale * r[3 * j + k]
                by_t[3 + j] += g1 * scale * r[3 * j + k]

        # Quaternion, normalised: the part along it changes nothing.
        qw, qx = _F(quats[i, 0] * inverse_length), _F(quats[i, 1] * inverse_length)
        qy, qz = _F(quats[i, 2] * inverse_length), _F(quats[i, 3] * inverse_length)
        dw = two * (
            qx * (by_r[7] - by_r[5]) + qy * (by_r[2] - by_r[6]) + qz * (by_r[3] - by_r[1])
        )
        dx = two * (
            qw * (by_r[7] - by_r[5])
            - two * qx * (by_r[4] + by_r[8])
            + qy * (by_r[1] + by_r[3])
            + qz * (by_r[2] + by_r[6])
        )
        dy = two * (
            qw * (by_r[2] - by_r[6])
            + qx * (by_r[1] + by_r[3])
            - two * qy * (by_r[0] + by_r[8])
            + qz * (by_r[5] + by_r[7])
        )
        dz = two * (
            qw * (by_r[3] - by_r[1])
            + qx * (by_r[2] + by_r[6])
            + qy * (by_r[5] + by_r[7])
            - two * qz * (by_r[0] + by_r[4])
        )
        along = dw * qw + dx * qx + dy * qy + dz * qz
        by_quats[i, 0] += _F((dw - along * qw) * inverse_length)
        by_quats[i, 1] += _F((dx - along * qx) * inverse_length)
        by_quats[i, 2] += _F((dy - along * qy) * inverse_length)
        by_quats[i, 3] += _F((dz - along * qz) * inverse_length)

        # t = (fx/z (R0 - u R2), fy/z (R1 - v R2)), u and v clamped.
        inverse = _F(1) / z
        jx, jy = lens[0] * inverse, lens[1] * inverse
        by_u = by_v = by_z = _F(0)
        for k in range(3):
            by_u -= by_t[k] * jx * view[8 + k]
            by_v -= by_t[3 + k] * jy * view[8 + k]
            by_z -= (by_t[k] * t[k] + by_t[3 + k] * t[3 + k]) * inverse
        by_x, by_y = by_mx * jx, by_my * jy
        by_z -= (by_mx * jx * x + by_my * jy * y) * inverse
        if lens[4] <= x * inverse <= lens[5]:
            by_x += by_u * inverse
            by_z -= by_u * u * inverse
        if lens[6] <= y * inverse <= lens[7]:
            by_y += by_v * inverse
            by_z -= by_v * v * inverse
        for k in range(3):
            by_means[i, k] += view[k] * by_x + view[4 + k] * by_y + view[8 + k] * by_z

        if degree >= 0:
            dx, dy, dz = px - centre[0], py - centre[1], pz - centre[2]
            length = _F(1) / _F(math.sqrt(dx * dx + dy * dy + dz * dz))
            dx, dy, dz = dx * length, dy * length, dz * length
            _basis(degree, dx, dy, dz, basis)
            weights[:] = _F(0)
            for channel in range(3):
                # Colours are clamped at zero from below.
                if splats[i, 6 + channel] > 0:
                    g = moments[i, 6 + channel]
                    for k in range((degree + 1) * (degree + 1)):
                        if wanted:
                            by_colors[i, k, channel] += basis[k] * g
                        weights[k] += colors[i, k, channel] * g
            if degree > 0:
                _basis_slope(degree, dx, dy, dz, weights, slope)
                along = slope[0] * dx + slope[1] * dy + slope[2] * dz
                by_means[i, 0] += (slope[0] - along * dx) * length
                by_means[i, 1] += (slope[1] - along * dy) * length
                by_means[i, 2] += (slope[2] - along * dz) * length
