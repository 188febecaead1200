"""One picture of many Gaussians on the CPU, and its gradients: numpy in, numpy out.

`project` finds where Gaussians fall and in which order, `Projection.blend` makes a `Picture` of
them; `rasterize` is both. ``picture.backward`` turns gradients by its pixels into gradients by
the parameters. All of it is bitwise the same with any number of threads.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gscodec.errors import SceneError
from gscodec.render import kernels
from gscodec.render.parts import in_parts

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gscodec.camera import Camera

    Array = NDArray[np.float32]
    Arrays = tuple[Array, Array, Array, Array, Array]

# Pairs of Gaussian and tile in one picture; a million Gaussians at full HD have a few million.
# Each costs 8 bytes, and 36 more while gradients are taken.
MAX_PAIRS = 2**28
_LEAST_SHOWN = 1e-4  # share of a picture; pictures of less are alike whatever the scene is


@dataclass(frozen=True)
class Conventions:
    """Where renderers differ. The defaults are gsplat's; `INRIA` has those of the first 3DGS code.

    Attributes:
        near_plane: Nearer Gaussians are not drawn, scene units along the view axis.
        far_plane: Farther ones neither.
        eps2d: Low-pass added to projected covariances, pixels squared.
        max_alpha: Cap of the opacity of a splat in a pixel, below 1.
        radius_clip: Smaller splats are not drawn, pixels.
        antialiased: Whether opacity shrinks by as much as the low-pass widens a splat.
    """

    near_plane: float = 0.01
    far_plane: float = 1e10
    eps2d: float = 0.3
    max_alpha: float = 0.999
    radius_clip: float = 0.0
    antialiased: bool = False


GSPLAT = Conventions()
INRIA = Conventions(near_plane=0.2, max_alpha=0.99)


@dataclass(frozen=True)
class Gaussians:
    """Activated parameters, as renderers take them; C-contiguous float32.

    Attributes:
        means: (N, 3) scene units.
        quats: (N, 4) w, x, y, z of any length.
        scales: (N, 3) after the exponential.
        opacities: (N,) after the sigmoid; above 1 counts as 1.
        colors: (N, K, 3) SH coefficients, or (N, 1, D) colours if ``sh_degree`` is None.
        sh_degree: 0 to 3, at most what K holds, or None.
    """

    means: Array
    quats: Array
    scales: Array
    opacities: Array
    colors: Array
    sh_degree: int | None

    def arrays(self) -> Arrays:
        """Means, quats, scales, opacities, colours: the order of all gradients."""
        return self.means, self.quats, self.scales, self.opacities, self.colors

    def take(self, rows: NDArray[np.int64]) -> Gaussians:
        """Some of them."""
        means, quats, scales, opacities, colors = (array[rows] for array in self.arrays())
        return Gaussians(means, quats, scales, opacities, colors, self.sh_degree)

    @property
    def degree(self) -> int:
        """``sh_degree`` as the kernels take it: -1 for None."""
        return -1 if self.sh_degree is None else self.sh_degree


@dataclass(frozen=True)
class Projection:
    """Gaussians as one camera sees them: what a picture of any colours is blended from.

    Attributes:
        gaussians: What was projected.
        conventions: How.
        size: Width and height of the picture, pixels.
        depths: (N,) float32, camera z of the Gaussians that are drawn, 0 of others.
        splats: (N, COLUMNS) float32, see `kernels`.
        view: (12,) float32, upper rows of the view matrix.
        lens: (8,) float32, see `kernels`.
        first_pair: (N + 1,) int64, where the pairs with tiles of each Gaussian begin.
        starts: (tiles + 1,) int64, where the list of each tile begins.
        lists: (P, 2) int32, Gaussian and pair, near to far within each tile.
    """

    gaussians: Gaussians
    conventions: Conventions
    size: tuple[int, int]
    depths: Array
    splats: Array
    view: Array
    lens: Array
    first_pair: NDArray[np.int64]
    starts: NDArray[np.int64]
    lists: NDArray[np.int32]

    @property
    def drawn(self) -> NDArray[np.bool_]:
        """(N,) whether a Gaussian reaches a tile of the picture."""
        result: NDArray[np.bool_] = self.first_pair[1:] > self.first_pair[:-1]
        return result

    def recolored(self, colors: Array) -> Projection:
        """The same Gaussians with other colours (N, up to 3), not clamped; missing ones are 0."""
        splats = self.splats.copy()
        splats[:, 6:9] = 0
        splats[:, 6 : 6 + colors.shape[1]] = colors
        return replace(self, splats=splats)

    def blend(self, background: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Picture:
        """The picture over ``background``."""
        width, height = self.size
        image = np.empty((height, width, 3), np.float32)
        transmittance = np.empty((height, width), np.float32)
        behind = np.array(background, np.float32)
        self.by_tile(kernels.blend, behind, image, transmittance)
        return Picture(image, transmittance, self)

    def lacking(self, target: Array) -> Array:
        """What the picture lacks of ``target`` (H, W, 3), gathered by blending weights: (N, 4).

        With the weights W of all pixels and the colours c, W^T (``target`` - W c): what colours
        must do about it (its zero is the picture that is nearest to the target); then the weights
        of each Gaussian times those of all in the same pixel.
        """
        by_pair = np.empty((len(self.lists), 4), np.float32)
        self.by_tile(kernels.blend_lacking, target, by_pair)
        return self.gathered(by_pair)

    def presence(self, behind: Array, target: Array | None) -> tuple[Picture, Array]:
        """The picture over black, and what each Gaussian is to it, (N, PRESENCE), see `kernels`.

        The latter of the picture over grey values ``behind`` (H, W), which should be ``target``
        (H, W, 3); it is right if that is None.
        """
        width, height = self.size
        image = np.empty((height, width, 3), np.float32)
        transmittance = np.empty((height, width), np.float32)
        aim = np.empty((0, 0, 3), np.float32) if target is None else target
        by_pair = np.empty((len(self.lists), kernels.PRESENCE), np.float32)
        self.by_tile(kernels.blend_without, behind, aim, image, transmittance, by_pair)
        return Picture(image, transmittance, self), self.gathered(by_pair)

    def by_tile(self, kernel: Callable[..., None], *arrays: Array) -> None:
        """Calls ``kernel`` for all tiles: with what is in each, then with ``arrays``."""
        own = (self.splats, self.starts, self.lists, self.conventions.max_alpha)
        in_parts(kernel, len(self.starts) - 1, kernels.TILES_AT_ONCE, *own, *arrays)

    def gathered(self, by_pair: Array) -> Array:
        """Sums ``by_pair`` (P, columns) of each Gaussian over its tiles, (N, columns)."""
        out = np.empty((len(self.splats), by_pair.shape[1]), np.float32)
        at_once = kernels.GAUSSIANS_AT_ONCE
        in_parts(kernels.gather, len(out), at_once, by_pair, self.first_pair, out)
        return out

    def backward(self, moments: Array, into: Arrays) -> None:
        """Adds to ``into``, as `Gaussians.arrays`, what ``moments`` of pictures amount to.

        Gradients by colours are added for SH coefficients only; else moments hold them. An
        array of no coefficients gets none.
        """
        in_parts(
            kernels.project_backward,
            len(self.splats),
            kernels.GAUSSIANS_AT_ONCE,
            *self.gaussians.arrays(),
            self.gaussians.degree,
            self.view,
            self.lens,
            self.conventions.antialiased,
            self.splats,
            self.first_pair,
            moments,
            *into,
        )


@dataclass(frozen=True)
class Picture:
    """A rendered view with all that its gradients need.

    Attributes:
        image: (H, W, 3) float32, background included, not clipped.
        transmittance: (H, W) float32, share of the background that shines through.
        projection: What it was blended from.
    """

    image: Array
    transmittance: Array
    projection: Projection

    @property
    def drawn(self) -> NDArray[np.bool_]:
        """(N,) whether a Gaussian reaches a tile of the picture."""
        return self.projection.drawn

    @property
    def shows(self) -> bool:
        """Whether there is anything on it; if not, it says nothing about the scene."""
        return 1 - float(self.transmittance.mean(dtype=np.float64)) >= _LEAST_SHOWN

    def moments(self, by_image: Array, by_alpha: Array | None = None) -> Array:
        """Gradients by the projected Gaussians (N, MOMENTS), see `kernels`; arguments as `backward`."""
        if by_alpha is None:
            by_alpha = np.zeros_like(self.transmittance)
        own = self.projection
        by_pair = np.empty((len(own.lists), kernels.MOMENTS), np.float32)
        given = (
            np.require(picture, np.float32, ["C", "W"]) for picture in (by_image, by_alpha)
        )
        own.by_tile(kernels.blend_backward, self.image, self.transmittance, *given, by_pair)
        return own.gathered(by_pair)

    def backward(
        self,
        by_image: Array,
        by_alpha: Array | None = None,
        into: tuple[Array, ...] | None = None,
    ) -> tuple[Array, ...]:
        """Gradients by means, quats, scales, opacities, colours; added to ``into`` if given.

        Args:
            by_image: (H, W, 3) gradient of the loss by ``image``.
            by_alpha: (H, W) gradient of the loss by 1 - transmittance; None is zero.
            into: Arrays of the shapes of `Gaussians.arrays`, changed in place.
        """
        gaussians = self.projection.gaussians
        out = into or tuple(np.zeros_like(a) for a in gaussians.arrays())
        means, quats, scales, opacities, colors = out
        moments = self.moments(by_image, by_alpha)
        self.projection.backward(moments, (means, quats, scales, opacities, colors))
        if gaussians.sh_degree is None:
            colors[:, 0, :3] += moments[:, 6:9][:, : colors.shape[2]]
        return out

    def weights(self) -> Array:
        """Blending weights of each Gaussian summed over the pixels, (N,)."""
        return self.moments(np.zeros_like(self.image))[:, 9]


def rasterize(
    gaussians: Gaussians,
    camera: Camera,
    background: tuple[float, float, float] = (0.0, 0.0, 0.0),
    conventions: Conventions = GSPLAT,
) -> Picture:
    """Draws ``gaussians`` as ``camera`` sees them, over ``background``; errors as `project`."""
    return project(gaussians, camera, conventions).blend(background)


def project(
    gaussians: Gaussians, camera: Camera, conventions: Conventions = GSPLAT
) -> Projection:
    """Where ``gaussians`` fall on the picture of ``camera``, tile by tile and in which order.

    Raises:
        SceneError: So many and so large Gaussians that the lists would not fit into memory.
    """
    n = len(gaussians.means)
    view, lens = _pose(camera)
    splats = np.empty((n, kernels.COLUMNS), np.float32)
    depths = np.zeros(n, np.float32)
    rows = np.empty((n, 2), np.int32)
    size = (camera.width, camera.height)
    in_parts(
        kernels.project,
        n,
        kernels.GAUSSIANS_AT_ONCE,
        *gaussians.arrays(),
        gaussians.degree,
        view,
        lens,
        size,
        conventions.near_plane,
        conventions.far_plane,
        conventions.eps2d,
        conventions.radius_clip,
        conventions.antialiased,
        splats,
        depths,
        rows,
    )
    lists = _lists(splats, depths, rows, size)
    return Projection(gaussians, conventions, size, depths, splats, view, lens, *lists)


def near_to_far(depths: Array, seen: NDArray[np.int64]) -> NDArray[np.int64]:
    """``seen`` by depth, ties by index: sorted as one integer, positive floats order like it."""
    keys = depths[seen].view(np.uint32).astype(np.uint64) << np.uint64(32)
    keys |= seen.astype(np.uint64)
    keys.sort()
    return (keys & np.uint64(0xFFFFFFFF)).astype(np.int64)


def _lists(
    splats: Array,
    depths: Array,
    rows: NDArray[np.int32],
    size: tuple[int, int],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]:
    """`Projection.first_pair`, ``starts`` and ``lists``."""
    across, down = -(-size[0] // kernels.WIDE), -(-size[1] // kernels.HIGH)
    order = near_to_far(depths, np.flatnonzero(rows[:, 1] > rows[:, 0]))
    rows = rows[order]
    first = _running_sum(rows[:, 1] - rows[:, 0])
    _check_memory(int(first[-1]), size)
    spans, counts = np.empty((first[-1], 2), np.int32), np.zeros(len(splats), np.int64)
    found = (splats, order, rows, first, across, spans, counts)
    in_parts(kernels.find_spans, len(order), kernels.GAUSSIANS_AT_ONCE, *found)
    first_pair = _running_sum(counts)
    _check_memory(int(first_pair[-1]), size)
    tally = np.zeros((kernels.RUNS, across * down), np.int32)
    in_parts(kernels.tally_tiles, kernels.RUNS, 1, rows, first, across, spans, tally)
    # In a list, the runs follow each other: they are sorted by tile, then by run.
    places = _running_sum(tally.T)
    starts = places[:: kernels.RUNS].copy()
    places = np.ascontiguousarray(places[:-1].reshape(-1, kernels.RUNS).T)
    lists = np.empty((first_pair[-1], 2), np.int32)
    filled = (order, rows, first, across, spans, first_pair, places, lists)
    in_parts(kernels.fill_lists, kernels.RUNS, 1, *filled)
    return first_pair, starts, lists


def _check_memory(pairs: int, size: tuple[int, int]) -> None:
    if pairs > MAX_PAIRS:
        raise SceneError(
            f"picture of {size[0]} x {size[1]} pixels: Gaussians reach {pairs:,} tiles in all, "
            f"expected at most {MAX_PAIRS:,}; render a smaller picture"
        )


def _running_sum(counts: NDArray[np.int64] | NDArray[np.int32]) -> NDArray[np.int64]:
    """Sums of the first 0, 1, 2, ... entries."""
    result = np.zeros(counts.size + 1, np.int64)
    np.cumsum(counts, out=result[1:])
    return result


def _pose(camera: Camera) -> tuple[Array, Array]:
    """Upper rows (12,) of the view matrix, and the lens with the limits of x/z and y/z."""
    view = np.ascontiguousarray(camera.world_to_camera[:3], np.float32).ravel()
    # Splats far outside of the picture are projected as if at 0.3 half-widths beside it.
    margin_x, margin_y = 0.15 * camera.width / camera.fx, 0.15 * camera.height / camera.fy
    lens = [
        *(camera.fx, camera.fy, camera.cx, camera.cy),
        -(camera.cx / camera.fx + margin_x),
        (camera.width - camera.cx) / camera.fx + margin_x,
        -(camera.cy / camera.fy + margin_y),
        (camera.height - camera.cy) / camera.fy + margin_y,
    ]
    return view, np.array(lens, np.float32)
