"""What measuring a scene at several rates gave: values, CSV, JSON, lines for people."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, dataclass
from itertools import permutations
from typing import TYPE_CHECKING

from gscodec.report.curve import bjontegaard_rate, bytes_at
from gscodec.report.text import printable, size

if TYPE_CHECKING:
    from collections.abc import Iterator

SPZ = "SPZ v4"
_LOSSLESS = 100.0  # dB, what `gscodec.render.quality.psnr` gives for identical pictures


@dataclass(frozen=True)
class Point:
    """One codec with one setting.

    Attributes:
        codec: Name of a method, or `SPZ`.
        lam: Lagrangian weight of bits; None where the codec has none.
        bytes: Size of the file.
        gaussians: In the decoded scene.
        psnr: Mean over the views, dB, of renders against renders of the source.
        worst_psnr: Of the worst view, dB.
        ssim: Mean over the views.
        encode_seconds: Wall clock, the encoder's own check included.
        parts: Bytes by part of the file, in the order of the file; they add up to ``bytes``.
            Empty where nothing is known of the parts.
    """

    codec: str
    lam: float | None
    bytes: int
    gaussians: int
    psnr: float
    worst_psnr: float
    ssim: float
    encode_seconds: float
    parts: dict[str, int]

    @property
    def name(self) -> str:
        """For example ``hac 5e-4``."""
        return point_name(self.codec, self.lam)

    @property
    def lossless(self) -> bool:
        """Whether the renders are identical; no curve goes through such a point."""
        return self.psnr >= _LOSSLESS


@dataclass(frozen=True)
class Comparison:
    """Bytes of one curve against those of another: ``rate`` in percent, -50 for half."""

    reference: str
    test: str
    rate: float


@dataclass(frozen=True)
class AtSpz:
    """Bytes of a codec at the PSNR of SPZ, interpolated, and their ratio to those of SPZ."""

    codec: str
    bytes: float
    ratio: float


@dataclass(frozen=True)
class RdResult:
    """Everything measured on one scene.

    Attributes:
        source: Name of the scene.
        source_bytes: Of its file.
        gaussians: In the source; of anchors, how many these are.
        sh_degree: 0 to 3; None of anchors.
        views: Number of views that were rendered.
        views_from: How many, and where they come from, for people.
        points: By codec, in the order of measuring.
        notes: One line for each thing worth knowing: changes to the scene, what is missing.
    """

    source: str
    source_bytes: int
    gaussians: int
    sh_degree: int | None
    views: int
    views_from: str
    points: tuple[Point, ...]
    notes: tuple[str, ...]

    @property
    def noun(self) -> str:
        """What the primitives are called."""
        return "anchors" if self.sh_degree is None else "Gaussians"

    def curves(self) -> dict[str, tuple[Point, ...]]:
        """Points by codec."""
        names = dict.fromkeys(point.codec for point in self.points)
        return {name: tuple(p for p in self.points if p.codec == name) for name in names}

    def bits_per_gaussian(self, count: int) -> float:
        """``count`` bytes as bits per Gaussian of the source."""
        return 8 * count / max(self.gaussians, 1)

    def comparisons(self) -> tuple[Comparison, ...]:
        """Bjontegaard rates of all ordered pairs of curves that overlap."""
        pairs = {
            name: [(point.bytes, point.psnr) for point in points]
            for name, points in self.curves().items()
        }
        rates = (
            (reference, test, bjontegaard_rate(pairs[reference], pairs[test]))
            for reference, test in permutations(pairs, 2)
        )
        return tuple(Comparison(r, t, rate) for r, t, rate in rates if rate is not None)

    @property
    def spz(self) -> Point | None:
        """The point of SPZ, where it was measured."""
        return next((point for point in self.points if point.codec == SPZ), None)

    def at_spz(self) -> tuple[AtSpz, ...]:
        """Every codec whose curve reaches the PSNR of SPZ, the smallest first."""
        spz = self.spz
        if spz is None:
            return ()
        sizes = {
            name: bytes_at(spz.psnr, [(p.bytes, p.psnr) for p in points])
            for name, points in self.curves().items()
            if name != SPZ
        }
        found = [AtSpz(n, s, s / spz.bytes) for n, s in sizes.items() if s is not None]
        return tuple(sorted(found, key=lambda item: item.bytes))

    def to_json(self) -> dict[str, object]:
        """Everything as plain JSON values, what follows from the points included."""
        return {
            **asdict(self),
            "bjontegaard": [asdict(item) for item in self.comparisons()],
            "at_spz": [asdict(item) for item in self.at_spz()],
        }

    def to_csv(self) -> bytes:
        """One row per point; ``bytes_*`` are the parts of its file, empty where unknown."""
        parts = list(dict.fromkeys(part for point in self.points for part in point.parts))
        fixed = (
            "codec",
            "lambda",
            "bytes",
            "bits_per_gaussian",
            "gaussians",
            "psnr",
            "worst_psnr",
            "ssim",
            "encode_seconds",
        )
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([*fixed, *(f"bytes_{part}" for part in parts)])
        for point in self.points:
            row = asdict(point)
            row["lambda"] = point.lam
            row["bits_per_gaussian"] = self.bits_per_gaussian(point.bytes)
            writer.writerow([*(row[n] for n in fixed), *(point.parts.get(p) for p in parts)])
        return text.getvalue().encode()

    def lines(self) -> Iterator[str]:
        """What a person wants to know after the run."""
        for point in self.points:
            yield (
                f"  {point.name:<10} {size(point.bytes):>18}  {point.psnr:6.2f} dB  "
                f"SSIM {point.ssim:.5f}  {point.encode_seconds:.1f} s"
            )
        for found in self.at_spz():
            yield (
                f"  {found.codec} at the PSNR of {SPZ}: {size(round(found.bytes))}, "
                f"{found.ratio:.3f} of {SPZ}"
            )
        for pair in self.comparisons():
            yield f"  {pair.test} against {pair.reference}: {pair.rate:+.1f} % bytes"
        for note in self.notes:
            yield f"  note      {printable(note)}"


def point_name(codec: str, lam: float | None) -> str:
    """For example ``hac 5e-4``, or ``raw`` without a lambda."""
    return codec if lam is None else f"{codec} {lambda_text(lam)}"


def lambda_text(lam: float) -> str:
    """For example ``5e-4``."""
    mantissa, exponent = f"{lam:e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"
