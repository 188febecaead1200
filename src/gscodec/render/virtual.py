"""Cameras for scenes that come without any.

A scene goes in, cameras come out that see every Gaussian a viewer may see, about as much as
the cameras of the training did. Lengths are those of the core of the scene until the very end.

Invariant: no large product of a BLAS in here or in the modules below, for its sums depend on the
number of threads; `numpy.einsum` has none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from gscodec.anchors import AnchorScene
from gscodec.camera import USUAL_UP, Camera
from gscodec.render.conventions import conventions_of
from gscodec.render.neural import stand_in
from gscodec.render.virtual_candidates import (
    Candidates,
    Pose,
    before_surfaces,
    inwards,
    look_from,
    outwards,
    varied,
)
from gscodec.render.virtual_choice import choose, plausibility
from gscodec.render.virtual_place import HIDDEN, Place, recognise
from gscodec.render.virtual_sample import Sample, draw_sample
from gscodec.render.virtual_sight import FOCAL

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.scene import GaussianScene

Kind = Literal["object", "room", "capture"]

_SAMPLE = (8_000, 20_000)  # Gaussians, of small and of large scenes
_SHARE = 1 / 50  # of the Gaussians in between
_PLACES, _INWARDS, _SURFACES, _VARIED = 16, 180, 96, 128  # poses to choose from
_AMPLE, _MOST = 100, 4  # cameras for which these are enough; times as many poses at most
_LEAST_NEAR, _MOST_NEAR = 0.01, 0.2  # sizes of the core, whatever the units


@dataclass(frozen=True)
class VirtualViews:
    """Cameras chosen from the scene alone.

    Attributes:
        cameras: The best first: any first few of them make a good choice too.
        kind: What the scene looks like: a single ``object``, a closed ``room``, or the
            ``capture`` of a place from one side or around its middle.
        note: What was found, one line.
        seen: Share of all opacity that is on Gaussians that some camera sees.
        up: (3,) float64 unit vector, which way is up in the scene.
        filled: Of each camera, share of its picture that is not empty, coarsely.
    """

    cameras: tuple[Camera, ...]
    kind: Kind
    note: str
    seen: float
    up: NDArray[np.float64]
    filled: tuple[float, ...] = ()


_NOTHING = VirtualViews((), "object", "nothing that can be seen", 0.0, np.array(USUAL_UP))


def virtual_cameras(
    scene: GaussianScene | AnchorScene,
    count: int = 48,
    width: int = 640,
    height: int = 480,
    seed: int = 0,
) -> VirtualViews:
    """Up to ``count`` cameras for ``scene``; the same ones for the same arguments.

    A scene in which nothing can be seen gets none.

    Raises:
        SceneError: ``width`` or ``height`` make no picture.
    """
    near_plane = conventions_of(scene).near_plane
    if isinstance(scene, AnchorScene):
        scene = stand_in(scene)
    rng = np.random.default_rng(seed)
    sample = draw_sample(scene, int(np.clip(_SHARE * len(scene), *_SAMPLE)), rng)
    if not len(sample):
        return _NOTHING
    near = float(np.clip(near_plane / sample.size, _LEAST_NEAR, _MOST_NEAR))
    views, plausible, place = _survey(sample, near, count, rng)
    if not plausible.any():
        return _NOTHING
    importance = sample.copies * sample.opacities
    importance /= importance.sum()
    chosen = choose(views, plausible, importance, count)
    poses = [views.poses[k] for k in chosen]
    exposure = views.weights[chosen].sum(axis=0)
    return VirtualViews(
        cameras=tuple(_camera(pose, place.up, sample, width, height) for pose in poses),
        kind=_kind(place),
        note=_note(place),
        seen=float(importance[exposure > 1e-3 * exposure.mean()].sum()),
        up=place.up,
        filled=tuple(views.filled[chosen].tolist()),
    )


def _survey(
    sample: Sample, near: float, count: int, rng: np.random.Generator
) -> tuple[Candidates, NDArray[np.float64], Place]:
    """Views to choose from, how plausible they are, and what they tell about the scene."""
    more = min(max(1, count // _AMPLE), _MOST)
    from_within = look_from(sample, outwards(sample, _PLACES, rng), near)
    at_core = look_from(sample, inwards(more * _INWARDS, rng), near)
    at_surfaces = look_from(sample, before_surfaces(sample, more * _SURFACES, rng), near)
    place = recognise(sample, near, from_within, at_core)
    views = from_within + at_core + at_surfaces
    plausible = plausibility(views, place)
    if plausible.any():
        poses = varied(views.poses, plausible.sum(axis=0), more * _VARIED, rng)
        views += look_from(sample, poses, near)
        plausible = plausibility(views, place)
    return views, plausible, place


def _camera(
    pose: Pose, up: NDArray[np.float64], sample: Sample, width: int, height: int
) -> Camera:
    view = pose.view(up)
    view[:3, 3] = sample.size * view[:3, 3] - view[:3, :3] @ sample.centre
    focal = FOCAL * max(width, height)
    return Camera(width, height, focal, focal, width / 2, height / 2, view)


def _kind(place: Place) -> Kind:
    if place.walls is not None and place.hidden > HIDDEN:
        return "room"
    return "capture" if place.filled >= 0.5 else "object"


def _note(place: Place) -> str:
    match _kind(place):
        case "room":
            return "a room, seen from inside and from outside"
        case "capture":
            return "the capture of a place with its background"
    inside = ", and a look inside" if place.walls is not None else ""
    if place.upright:
        axis = int(np.abs(place.up).argmax())
        return f"an object, {'-+'[int(place.up[axis] > 0)]}{'xyz'[axis]} is up{inside}"
    return f"an object, seen from all sides{inside}"
