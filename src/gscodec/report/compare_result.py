"""What comparing two scenes gave: values and JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from statistics import fmean
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Quality:
    """How like two pictures are, or pictures on average.

    Attributes:
        psnr: dB, peak 1, at most 100.
        ssim: 1 for identical pictures.
        lpips: 0 for identical pictures; None where it was not asked for.
        flip: 0 for identical pictures; None where the package is not installed.
    """

    psnr: float
    ssim: float
    lpips: float | None = None
    flip: float | None = None

    def loss(self, other: Quality) -> Quality:
        """How much worse ``other`` is, in each of the four."""
        return Quality(
            psnr=self.psnr - other.psnr,
            ssim=self.ssim - other.ssim,
            lpips=_gain(self.lpips, other.lpips),
            flip=_gain(self.flip, other.flip),
        )


def _gain(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


def mean_quality(qualities: Sequence[Quality]) -> Quality | None:
    """The mean of each number over views; None of no views."""
    if not qualities:
        return None
    return Quality(
        psnr=fmean(q.psnr for q in qualities),
        ssim=fmean(q.ssim for q in qualities),
        lpips=_mean_of_all([q.lpips for q in qualities]),
        flip=_mean_of_all([q.flip for q in qualities]),
    )


def _mean_of_all(values: Sequence[float | None]) -> float | None:
    """None unless every one is known."""
    known = [value for value in values if value is not None]
    return fmean(known) if len(known) == len(values) else None


@dataclass(frozen=True)
class ViewQuality:
    """One view of both scenes.

    Attributes:
        name: Of the photograph, or the number of the camera.
        width: Of the pictures, pixels.
        height: Of the pictures, pixels.
        quality: The render of b against that of a.
        a_to_photograph: The render of a against the photograph; None without photographs.
        b_to_photograph: The render of b against the photograph; None without photographs.
    """

    name: str
    width: int
    height: int
    quality: Quality
    a_to_photograph: Quality | None = None
    b_to_photograph: Quality | None = None


@dataclass(frozen=True)
class Deviation:
    """How far one attribute is off.

    Attributes:
        name: The attribute.
        unit: Of the numbers.
        rms: Root of the mean square.
        max: Largest.
    """

    name: str
    unit: str
    rms: float
    max: float


class MatchedBy(StrEnum):
    """How it was found out what in one scene is what in the other."""

    LIKENESS = "matching"
    ORDER = "order"  # of anchors, where both scenes have as many in the same places
    NOTHING = "nothing"  # anchors and Gaussians cannot be paired


@dataclass(frozen=True)
class AttributeErrors:
    """Both scenes Gaussian by Gaussian, or anchor by anchor.

    Attributes:
        matched: Number of pairs.
        unmatched_a: What a has without a partner.
        unmatched_b: What b has without a partner.
        errors: Of the pairs; empty where there are none.
        by: How pairs were found.
    """

    matched: int
    unmatched_a: int
    unmatched_b: int
    errors: tuple[Deviation, ...]
    by: MatchedBy


@dataclass(frozen=True)
class Side:
    """One of the two scenes.

    Attributes:
        name: Of the file.
        bytes: Size of the file; None of a scene in memory.
        gaussians: How many it has; None of anchors, which make new ones for each camera.
        sh_degree: Of its colours; None of anchors.
        anchors: How many it has; None of Gaussians.
        offsets: Of each anchor; None of Gaussians.
    """

    name: str
    bytes: int | None
    gaussians: int | None
    sh_degree: int | None
    anchors: int | None = None
    offsets: int | None = None


@dataclass(frozen=True)
class CompareResult:
    """Everything measured on two scenes; a is the reference, b what is judged.

    Attributes:
        a: The reference.
        b: What is judged.
        views_from: Where the cameras come from.
        background: Behind the Gaussians, R, G, B, 0 to 1.
        views: In the order of the cameras.
        blank_views: Names of views that are left out, for they show nothing of either scene.
        attributes: Errors of b.
        notes: One line for each thing that was changed or left out.
    """

    a: Side
    b: Side
    views_from: str
    background: tuple[float, float, float]
    views: tuple[ViewQuality, ...]
    blank_views: tuple[str, ...]
    attributes: AttributeErrors
    notes: tuple[str, ...]

    @property
    def mean(self) -> Quality | None:
        """Of b against a, over the views; None without views."""
        return mean_quality([view.quality for view in self.views])

    @property
    def worst(self) -> ViewQuality | None:
        """The view of least PSNR; None without views."""
        return min(self.views, key=lambda view: view.quality.psnr, default=None)

    @property
    def to_photographs(self) -> tuple[Quality, Quality] | None:
        """Means of a and of b against the photographs; None without photographs."""
        a = [v.a_to_photograph for v in self.views if v.a_to_photograph is not None]
        b = [v.b_to_photograph for v in self.views if v.b_to_photograph is not None]
        mean_a, mean_b = mean_quality(a), mean_quality(b)
        return None if mean_a is None or mean_b is None else (mean_a, mean_b)

    def to_json(self) -> dict[str, object]:
        """Everything as plain JSON values."""
        values = asdict(self)
        return {
            **{key: values[key] for key in ("a", "b", "views_from", "background")},
            **(
                asdict(self.mean)
                if self.mean
                else dict.fromkeys(("psnr", "ssim", "lpips", "flip"))
            ),
            "worst_psnr": self.worst.quality.psnr if self.worst else None,
            "worst_view": self.worst.name if self.worst else None,
            "photographs": self._photographs(),
            "attributes": self._attributes(values["attributes"]),
            "views": values["views"],
            "blank_views": list(self.blank_views),
            "notes": list(self.notes),
        }

    def _attributes(self, values: dict[str, object]) -> dict[str, object]:
        rest = {key: value for key, value in values.items() if key != "by"}
        return {"estimated_by": self.attributes.by.value, **rest}

    def _photographs(self) -> dict[str, object] | None:
        pair = self.to_photographs
        if pair is None:
            return None
        a, b = pair
        return {"a": asdict(a), "b": asdict(b), "loss": asdict(a.loss(b))}
