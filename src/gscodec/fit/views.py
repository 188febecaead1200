"""What an encoder looks at: given views, or virtual ones, and what they should show."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from itertools import compress
from typing import TYPE_CHECKING

import numpy as np

from gscodec.anchors import AnchorScene
from gscodec.camera import blind, spread
from gscodec.errors import UsageError
from gscodec.fit.between import between, beyond
from gscodec.fit.recent import Recent, key_of
from gscodec.notes import Note
from gscodec.render.backdrop import over_speckled
from gscodec.render.conventions import conventions_of
from gscodec.render.quality import psnr
from gscodec.render.scene import activate, seen_by
from gscodec.render.splat import rasterize
from gscodec.render.virtual import VirtualViews, virtual_cameras

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from gscodec.camera import Camera, TargetViews
    from gscodec.render.splat import Conventions, Picture
    from gscodec.scene import GaussianScene

_MEASURING = 24  # views that sensitivity is measured in
_MEASURING_ANCHORS = 64  # every direction makes other Gaussians of them
_PRUNING = 72  # that show what is not worth its bits
_JUDGES = 24  # views that quality is measured in
_OPTIMISING = 128  # virtual views for effort high
# Of virtual views, pixels. Effort high changes all that it cannot see, so some of its views are
# large; but most people look from farther away, and what they see must not pay for detail.
_SIZES = {"fast": (480, 360), "high": (960, 720)}
_ONE_LARGE_IN = 3
# By effort: effort high is judged by the views of effort fast.
_FOUND: dict[str, Recent[VirtualViews]] = {"fast": Recent(), "high": Recent()}
# What others will see of what effort high makes is told by views that it does not aim at: by some
# between given ones, or by some of as many photographs. It aims at views beyond given ones, too:
# what these do not see is not lost then.
_FEWEST_JUDGES = 4
_MOST_BEYOND = 128
_ENOUGH_TO_HOLD_OUT, _HELD_OUT_ONE_IN = 16, 8
_LARGEST_HALF = 6e4  # that a float16 holds, about
_LARGEST = 800  # pixels along an edge; sensitivity is measured in no larger pictures
_FEW_TRIED = 8  # virtual views, to tell cameras that look elsewhere from scenes of nothing
_ESTIMATED = "looked at nothing: what values show was estimated"
_NOT_LOOKED = "effort instant looks at nothing; give it views"
_GLANCE = 256  # pixels along an edge, to see whether there is anything at all
_SURELY_FILLED = 0.05  # of a coarse picture: a fine one is not empty either


@dataclass(frozen=True)
class EncoderViews:
    """Cameras, and the scene whose renders or photographs are the target.

    Attributes:
        scene: The source.
        how: The scene is drawn, and whatever is made from it.
        cameras: Those that see something; none for a scene that no camera can see.
        photographs: See `TargetViews`.
        note: Where the cameras come from, one line.
        judges: Cameras that quality is measured in; of virtual ones at any effort the same.
        notes: One line for each thing that was left out.
        unseen: Why there is nothing to measure quality in, where there is no judge.
        held_out: Whether nothing aims at what the judges see.
        others: Further virtual cameras, in which what is hardly seen is looked for.
        virtual: Whether nobody gave the cameras.
    """

    scene: GaussianScene | AnchorScene
    how: Conventions
    cameras: tuple[Camera, ...]
    photographs: tuple[NDArray[np.float16], ...] | None
    note: str
    judges: tuple[Camera, ...]
    notes: tuple[str, ...] = ()
    unseen: str = "no view shows anything of the source"
    held_out: bool = False
    others: tuple[Camera, ...] = ()
    virtual: bool = False

    @property
    def measuring(self) -> tuple[Camera, ...]:
        """A few of the cameras, evenly chosen from a list and the first of virtual ones."""
        return _few(self.cameras, _measuring(self.scene))

    @cached_property
    def pruning(self) -> tuple[Camera, ...]:
        """More of them: what none of a few shows may be seen by the next."""
        return _few((*self.cameras, *self.others), _PRUNING)

    @cached_property
    def targets(self) -> tuple[NDArray[np.float16], ...]:
        """What each camera should show, (H, W, 3), 0 to 1; if no photograph, `over_speckled`."""
        if self.photographs is not None:
            return self.photographs
        drawn = _drawing(self.scene, self.how)
        pictures = (over_speckled(drawn(camera)) for camera in self.cameras)
        return tuple(on_screen(picture).astype(np.float16) for picture in pictures)

    def told(self, scene: GaussianScene | AnchorScene) -> tuple[Note, ...]:
        """How like its source ``scene`` is where it was to be, and where nothing aimed at it."""
        if not self.held_out:
            return ()
        aimed = replace(self, judges=_few(self.cameras, _JUDGES)).psnr(scene)
        apart, count = self.psnr(scene), len(self.judges)
        text = f"{aimed:.2f} dB through views that were aimed at, {apart:.2f} dB through others"
        return (Note(text, "held-out", changed=False, aimed=aimed, apart=apart, views=count),)

    def psnr(self, scene: GaussianScene | AnchorScene) -> float:
        """Mean PSNR of ``scene`` against the renders of the source, dB.

        Raises:
            UsageError: There is no view to measure it in.
        """
        if not self.judges:
            raise UsageError(f"PSNR: cannot be measured, for {self.unseen}")
        return float(np.mean(self.psnr_by_view(scene)))

    def psnr_by_view(
        self,
        scene: GaussianScene | AnchorScene,
        progress: Callable[[float], None] = lambda _: None,
    ) -> list[float]:
        """PSNR of ``scene`` against the renders of the source, dB; ``progress`` gets the share."""
        found, source, drawn = [], _drawing(self.scene, self.how), _drawing(scene, self.how)
        for number, camera in enumerate(self.judges):
            if number not in self._seen:
                self.remember(camera, source(camera).image)
            found.append(psnr(self._seen[number], on_screen(drawn(camera).image)))
            progress((number + 1) / len(self.judges))
        return found

    def remember(self, camera: Camera, picture: NDArray[np.float32]) -> None:
        """This ``picture`` (H, W, 3), not clipped, is what ``camera`` sees of the source."""
        for number, judge in enumerate(self.judges):
            if judge is camera:
                self._seen[number] = on_screen(picture)
        if float(np.abs(picture).max()) < _LARGEST_HALF:
            self._shown[id(camera)] = picture.astype(np.float16)

    def shows(self, camera: Camera) -> NDArray[np.float32]:
        """What ``camera``, one of `pruning`, sees of the source, (H, W, 3), not clipped."""
        if id(camera) not in self._shown:
            self._shown[id(camera)] = self._source(camera).image
        return self._shown[id(camera)].astype(np.float32, copy=False)

    @cached_property
    def _source(self) -> Callable[[Camera], Picture]:
        return _drawing(self.scene, self.how)

    @cached_property
    def _shown(self) -> dict[int, NDArray[np.floating]]:
        """What was drawn of the source, by identity of cameras that last as long."""
        return {}

    @cached_property
    def _seen(self) -> dict[int, NDArray[np.float32]]:
        """What is seen of the source, by number of the view, as far as that was asked for."""
        return {}


def on_screen(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """``picture`` clipped as a screen does."""
    return np.clip(picture, 0, 1)


def _drawing(
    scene: GaussianScene | AnchorScene, how: Conventions
) -> Callable[[Camera], Picture]:
    """``scene`` as a camera sees it."""
    if isinstance(scene, AnchorScene):
        return lambda camera: rasterize(seen_by(scene, camera, how), camera, conventions=how)
    same = cache(partial(activate, scene))
    return lambda camera: rasterize(same(), camera, conventions=how)


def _few(cameras: tuple[Camera, ...], most: int) -> tuple[Camera, ...]:
    """At most ``most`` of ``cameras``, evenly over them, none of them large."""
    return tuple(map(smaller, spread(cameras, most)))


def _measuring(scene: GaussianScene | AnchorScene) -> int:
    return _MEASURING_ANCHORS if isinstance(scene, AnchorScene) else _MEASURING


def in_turns(cameras: Sequence[Camera], least: int, most: int) -> list[Sequence[Camera]]:
    """At most so many parts of ``cameras``, of at least so many, each evenly over them all."""
    parts = min(max(1, len(cameras) // least), most)
    return [cameras[part::parts] for part in range(parts)]


def smaller(camera: Camera, edge: int = _LARGEST) -> Camera:
    """``camera`` with at most ``edge`` pixels along an edge."""
    shrink = min(1.0, edge / max(camera.width, camera.height))
    return camera if shrink == 1 else resized(camera, shrink)


def resized(camera: Camera, factor: float) -> Camera:
    """``camera`` with ``factor`` times the pixels along an edge."""
    return replace(
        camera,
        width=max(1, round(camera.width * factor)),
        height=max(1, round(camera.height * factor)),
        fx=camera.fx * factor,
        fy=camera.fy * factor,
        cx=camera.cx * factor,
        cy=camera.cy * factor,
    )


def choose_views(
    scene: GaussianScene | AnchorScene,
    given: TargetViews | None,
    effort: str,
    *,
    more: bool = False,
) -> EncoderViews:
    """The views that were given in the coordinates of the source, or virtual ones.

    Those that see nothing are left out. Besides virtual ones there are others, if ``more`` are
    wanted: to prune by, and to find colours by.

    Raises:
        SceneError: None of the given ones sees anything, though there is something.
    """
    how = conventions_of(scene)
    if given is not None:
        return _given(scene, how, given.relative_to(scene.origin), effort)
    if effort == "instant":
        return EncoderViews(scene, how, (), None, _ESTIMATED, (), unseen=_NOT_LOOKED)
    count = _OPTIMISING if effort == "high" else _measuring(scene)
    settings = (max(count, _PRUNING) if more else count, *_SIZES[effort])
    key = key_of(scene, settings, how)
    found = _FOUND[effort].get(key, lambda: _virtual(scene, how, *settings))
    note = f"looked at the scene through {len(found.cameras)} virtual cameras: {found.note}"
    cameras, others = found.cameras[:count], found.cameras[count:]
    judges = _few(cameras, _JUDGES)
    if effort == "high":
        far = (resized(camera, 0.5) for camera in cameras)
        cameras = tuple(
            small if n % _ONE_LARGE_IN else large
            for n, (small, large) in enumerate(zip(far, cameras, strict=True))
        )
        judges = choose_views(scene, None, "fast").judges
    return EncoderViews(scene, how, cameras, None, note, judges, others=others, virtual=True)


def _virtual(
    scene: GaussianScene | AnchorScene, how: Conventions, count: int, width: int, height: int
) -> VirtualViews:
    found = virtual_cameras(scene, count, width, height)
    sure = np.array(found.filled) > _SURELY_FILLED
    seen = sure.copy()
    seen[~sure] = _showing(scene, tuple(compress(found.cameras, ~sure)), how)
    return replace(found, cameras=tuple(compress(found.cameras, seen)))


def _given(
    scene: GaussianScene | AnchorScene,
    how: Conventions,
    given: TargetViews,
    effort: str,
) -> EncoderViews:
    """Those that show something; effort high has further ones, or of many some only judge."""
    count, photographs = len(given.cameras), given.photographs
    what = "cameras" if photographs is None else "photographs"
    seen = _showing(scene, given.cameras, how)
    if not any(seen):
        if _virtual(scene, how, _FEW_TRIED, _GLANCE, _GLANCE).cameras:
            raise blind(count)
        return EncoderViews(scene, how, (), None, "there is nothing to see in the scene", ())
    blank = seen.count(False)
    told = f"left out {blank} of {count} views that show nothing"
    note = f"looked at the scene through {count - blank} given {what}"
    cameras = judges = tuple(compress(given.cameras, seen))
    apart: tuple[Camera, ...] = ()
    if effort == "high" and photographs is None:
        further = _seeing(scene, how, beyond(cameras, _MOST_BEYOND))
        apart = _seeing(scene, how, between(cameras, _JUDGES))
        if further:
            note = f"{note} and {len(further)} beyond them"
        if len(apart) < _FEWEST_JUDGES:
            apart = ()
        else:
            judges, note = apart, f"{note}, judged it through {len(apart)} between them"
        cameras = (*cameras, *further)
    elif effort == "high" and len(cameras) >= _ENOUGH_TO_HOLD_OUT:
        numbers = np.flatnonzero(seen)[_HELD_OUT_ONE_IN // 2 :: _HELD_OUT_ONE_IN]
        judges = apart = tuple(given.cameras[number] for number in numbers)
        seen = [there and number not in numbers for number, there in enumerate(seen)]
        cameras = tuple(compress(given.cameras, seen))
        note = f"{note}, {len(apart)} of which only judge"
    return EncoderViews(
        scene,
        how,
        cameras,
        None if photographs is None else tuple(compress(photographs, seen)),
        note,
        _few(judges, _JUDGES),
        (Note(told, "blank-views", changed=False, views=blank),) if blank else (),
        held_out=bool(apart),
    )


def _seeing(
    scene: GaussianScene | AnchorScene, how: Conventions, cameras: tuple[Camera, ...]
) -> tuple[Camera, ...]:
    """Those of ``cameras`` that see anything of ``scene``."""
    return tuple(compress(cameras, _showing(scene, cameras, how)))


def _showing(
    scene: GaussianScene | AnchorScene, cameras: Sequence[Camera], how: Conventions
) -> list[bool]:
    """Whether each of ``cameras`` sees anything of ``scene``."""
    drawn = _drawing(scene, how)
    return [drawn(smaller(camera, _GLANCE)).shows for camera in cameras]
