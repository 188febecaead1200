"""A scene at several rates: each method at each lambda, and SPZ beside them.

Quality is that of the renders of the decoded scene against the renders of the source. Every
point goes through the whole codec, its check included: what is measured can be decoded.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from gscodec import methods
from gscodec.camera import blind
from gscodec.codec import encode_with_report, inspect
from gscodec.errors import CannotCodeError, SceneError, UsageError
from gscodec.report.rd_result import SPZ, Point, point_name
from gscodec.scene import GaussianScene

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from gscodec.anchors import Scene
    from gscodec.arguments import EncodeOptions
    from gscodec.camera import Camera
    from gscodec.method import Progress
    from gscodec.render.splat import Conventions

LAMBDAS = (5e-4, 1e-3, 2e-3, 4e-3, 8e-3)
_NEXT, _FARTHEST = 2.5, 20  # factors of lambda, to come to the quality of SPZ
_OVERHEAD = ("header", "meta", "container")
T = TypeVar("T")


@dataclass(frozen=True)
class Job:
    """One encode to be measured; making one refuses options that make no sense.

    Attributes:
        method: One of `gscodec.methods.choices`.
        options: Fields of its ``Options``, lam too where it has one.
    """

    method: str
    options: dict[str, Any]

    def __post_init__(self) -> None:
        methods.by_name(self.method).Options(**self.options)

    def require(self) -> None:
        """Refuses what cannot be done here: UsageError."""
        module = methods.by_name(self.method)
        module.require(module.Options(**self.options))

    def of(self, scene: Scene) -> Job:
        """With the method that is chosen for ``scene``."""
        options = methods.by_name(self.method).Options(**self.options)
        return replace(self, method=methods.chosen(self.method, scene, options))

    @property
    def lam(self) -> float | None:
        """Lagrangian weight of bits; None where the method has none."""
        return self.options.get("lam")

    @property
    def name(self) -> str:
        """For example ``hac 5e-4``."""
        return point_name(self.method, self.lam)


def jobs(
    names: Sequence[str], lambdas: Sequence[float], options: Mapping[str, Any]
) -> tuple[Job, ...]:
    """Every method with every lambda, or once where a method has no lambda.

    Args:
        names: Methods.
        lambdas: Lagrangian weights of bits.
        options: Further fields of ``Options``; methods without such a field ignore them.

    Raises:
        UsageError: An unknown method, a bad value, or an option that none of the methods has.
    """
    fields = {
        name: methods.by_name(name).Options.__dataclass_fields__
        for name in dict.fromkeys(names)
    }
    for option in options:
        if not any(option in known for known in fields.values()):
            raise UsageError(f"option {option}: unknown to {', '.join(fields)}")
    result = []
    for name, known in fields.items():
        own = {option: value for option, value in options.items() if option in known}
        weights = dict.fromkeys(lambdas) if "lam" in known else (None,)
        result += [Job(name, own if w is None else {**own, "lam": w}) for w in weights]
    return tuple(result)


class Measured(NamedTuple):
    """What `measure` gives.

    Attributes:
        points: That of SPZ first.
        notes: What was changed or left out, each once.
        views: How many were rendered.
    """

    points: tuple[Point, ...]
    notes: tuple[str, ...]
    views: int


def measure(
    scene: Scene,
    todo: Sequence[Job],
    cameras: Sequence[Camera],
    *,
    spz: bool,
    progress: Progress,
    bracket: bool = False,
    expecting: Callable[[Sequence[Job]], None] = lambda _: None,
) -> Measured:
    """Measures every one of ``todo`` in those of ``cameras`` that see anything of ``scene``.

    Args:
        scene: What is encoded.
        todo: The encodes.
        cameras: To look through.
        spz: Whether SPZ is measured beside them.
        progress: Told what is done.
        bracket: Whether further lambdas are tried until the PSNR of SPZ lies between two points
            of every method.
        expecting: Told the encodes to come, whenever there are more than before.

    Raises:
        SceneError: No view shows anything, or the scene holds values that cannot be coded.
        VerifyError: A file does not decode to what was meant.
    """
    chosen = {job.name: job for job in (job.of(scene) for job in todo)}
    left = list(chosen.values())
    expecting(left)
    yardstick = _Yardstick(scene, cameras, progress)
    points, notes = _measure_spz(scene, yardstick, progress) if spz else ((), ())
    changes: dict[str, list[str]] = {}
    models: dict[str, dict[float, object]] = {}
    while left:
        job = left.pop(0)
        own = models.setdefault(job.method, {})
        point, job_notes, model = _measure_job(
            scene, job, yardstick, progress, _nearest(own, job.lam)
        )
        if job.lam is not None:
            own[job.lam] = model
        points = (*points, point)
        for note in job_notes:
            changes.setdefault(note, []).append(job.name)
        if bracket and not left:
            left = _beyond(points, chosen.values())
            expecting(left)
    lines = [f"{', '.join(who)}: {note}" for note, who in changes.items()]
    return Measured(points, (*yardstick.notes, *notes, *lines), yardstick.views)


def _nearest(models: Mapping[float, object], lam: float | None) -> object:
    """That of the lambda nearest to ``lam``; None if there is none."""
    if lam is None or not models:
        return None
    return models[min(models, key=lambda other: abs(math.log(other / lam)))]


def _beyond(points: Sequence[Point], jobs: Iterable[Job]) -> list[Job]:
    """For each method that is always above or always below SPZ, its job at the next lambda."""
    wanted = [point.psnr for point in points if point.codec == SPZ]
    found = []
    for method, job in {job.method: job for job in jobs if job.lam is not None}.items():
        own = {p.lam: p.psnr for p in points if p.codec == method and p.lam is not None}
        if not wanted or min(own.values()) <= wanted[0] <= max(own.values()):
            continue
        below = max(own.values()) < wanted[0]
        lam = min(own) / _NEXT if below else max(own) * _NEXT
        if LAMBDAS[0] / _FARTHEST <= lam <= LAMBDAS[-1] * _FARTHEST:
            found.append(replace(job, options={**job.options, "lam": lam}))
    return found


class _Yardstick:
    """Renders of the source, kept to be compared with.

    Attributes:
        views: How many there are.
        notes: What was left out, one line or none.
    """

    def __init__(self, scene: Scene, cameras: Sequence[Camera], progress: Progress) -> None:
        if not cameras:
            raise SceneError("found no view to render; an empty scene has no virtual cameras")
        from gscodec.render.conventions import conventions_of
        from gscodec.render.scene import picture_of

        self._how = conventions_of(scene)
        self._views = []
        for camera in _watched(cameras, "render source", progress):
            picture = picture_of(scene, camera, conventions=self._how)
            if picture.shows:
                self._views.append((camera, np.clip(picture.image, 0, 1)))
        self.views = len(self._views)
        blank = len(cameras) - self.views
        if not self._views:
            raise blind(blank)
        self.notes = (f"left out {blank} of {len(cameras)} views: they show nothing",) * (
            blank > 0
        )

    def measure(
        self, decoded: Scene, stage: str, progress: Progress
    ) -> tuple[float, float, float]:
        """PSNR in dB, mean and of the worst view, and mean SSIM."""
        from gscodec.render.quality import psnr, ssim

        ratios, similarities = [], []
        for camera, wanted in _watched(self._views, stage, progress):
            found = _picture(decoded, camera, self._how)
            ratios.append(psnr(wanted, found))
            similarities.append(ssim(wanted, found))
        return float(np.mean(ratios)), min(ratios), float(np.mean(similarities))


def _measure_job(
    scene: Scene, job: Job, yardstick: _Yardstick, progress: Progress, before: object
) -> tuple[Point, tuple[str, ...], object]:
    """Encodes ``scene``; the point, what the encoder changed, and its model.

    Training goes on from ``before``, a model of the same method at another lambda.
    """
    go_on: EncodeOptions = {} if before is None else {"start": before}
    start = time.perf_counter()
    encoded = encode_with_report(
        scene,
        job.method,
        progress=lambda stage, share, detail="", /: progress(
            f"{job.name} {stage}", share, detail
        ),
        **job.options,
        **go_on,
    )
    seconds = time.perf_counter() - start
    quality = yardstick.measure(encoded.reconstruction, f"{job.name} render", progress)
    size, count = len(encoded.data), len(encoded.reconstruction)
    parts = _parts(encoded.data)
    point = Point(job.method, job.lam, size, count, *quality, seconds, parts)
    return point, encoded.notes, encoded.model


def _measure_spz(
    scene: Scene, yardstick: _Yardstick, progress: Progress
) -> tuple[tuple[Point, ...], tuple[str, ...]]:
    """The point of SPZ, or a note why there is none."""
    from gscodec.interchange import decode_spz, encode_spz, missing_package
    from gscodec.interchange.formats import SPZ as FORMAT

    if not isinstance(scene, GaussianScene):
        return (), (f"{SPZ} is not measured: it has no anchors",)
    if missing := missing_package(FORMAT):
        return (), (f"{SPZ} is not measured: {missing}",)

    progress(f"{SPZ} encode", 0.0)
    try:
        start = time.perf_counter()
        data = encode_spz(scene, version=4)
        seconds = time.perf_counter() - start
        decoded = decode_spz(data)
    except (CannotCodeError, SceneError) as reason:
        return (), (f"{SPZ} is not measured: {reason}",)
    quality = yardstick.measure(decoded, f"{SPZ} render", progress)
    return (Point(SPZ, None, len(data), len(decoded), *quality, seconds, {}),), ()


def _parts(data: bytes) -> dict[str, int]:
    """Bytes by attribute; header, notes and envelopes together as ``container``."""
    rows = inspect(data).rows
    parts = {row.name: row.bytes for row in rows if row.name not in _OVERHEAD}
    return {**parts, "container": sum(row.bytes for row in rows if row.name in _OVERHEAD)}


def _picture(scene: Scene, camera: Camera, how: Conventions) -> NDArray[np.float32]:
    """(H, W, 3), clipped as a screen does."""
    from gscodec.render import render

    return np.clip(render(scene, camera, conventions=how), 0, 1)


def _watched(items: Sequence[T], stage: str, progress: Progress) -> Iterator[T]:
    """``items``, telling how far they are."""
    for number, item in enumerate(items):
        progress(stage, number / len(items))
        yield item
