"""What encoding or decoding one file did: JSON for programs, some lines for people."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from gscodec.notes import note_of
from gscodec.report.quality import quality_in_words
from gscodec.report.text import label, printable, shown, size

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Summary:
    """The account of one run.

    Attributes:
        command: ``encode`` or ``decode``.
        input: Name of the file read, ``-`` for stdin.
        output: Name of the file written, ``-`` for stdout.
        input_bytes: Bytes read.
        output_bytes: Bytes written.
        output_sha256: Of the file written, hexadecimal; None of a folder.
        coded_bytes: Bytes of the .gsz, which is the input or the output.
        gaussians: Number of Gaussians in the output; None where it holds anchors.
        anchors: Number of anchors in the .gsz; None where it holds Gaussians.
        method: How the .gsz is coded.
        notes: One line for each thing that was changed, or is worth knowing.
        report: JSON values: what the encoder chose and measured.
        stages: Seconds by stage.
        seconds: From start to end, wall clock.
        peak_memory_bytes: Largest resident size of the process; None where unknown.
    """

    command: str
    input: str
    output: str
    input_bytes: int
    output_bytes: int
    output_sha256: str | None
    coded_bytes: int
    gaussians: int | None
    anchors: int | None
    method: str
    notes: tuple[str, ...]
    report: dict[str, object]
    stages: dict[str, float]
    seconds: float
    peak_memory_bytes: int | None

    def to_json(self) -> dict[str, object]:
        """Everything as plain JSON values."""
        quality = self.report.get("quality")
        notes = [
            {"code": n.code, "changed": n.changed, "numbers": n.numbers, "text": str(n)}
            for n in map(note_of, self.notes)
        ]
        psnr = quality.get("mean_psnr") if isinstance(quality, dict) else None
        return {**asdict(self), "psnr": psnr, "notes": notes}

    def line(self) -> str:
        """What a person wants to know where this is one run of many."""
        quality = self.report.get("quality")
        psnr = quality.get("mean_psnr") if isinstance(quality, dict) else None
        parts = (
            f"{printable(self.input)} -> {printable(self.output)}",
            self._ratio(),
            *(() if psnr is None else (f"{psnr:.1f} dB",)),
            f"{self.seconds:.1f} s",
        )
        return ", ".join(parts)

    def lines(self) -> Iterator[str]:
        """What a person wants to know after the run."""
        yield f"{printable(self.input)} -> {printable(self.output)}"
        yield f"  size      {self._size()}"
        position = self.report.get("position_error")
        if isinstance(position, dict):
            yield f"  position  error {shown(position)}"
        quality = self.report.get("quality")
        if isinstance(quality, dict):
            yield f"  quality   {quality_in_words(quality)}"
        baked = self.report.get("baked")
        if isinstance(baked, dict):
            yield f"  baked     {self._baked(baked)}"
        for note in sorted(map(note_of, self.notes), key=lambda note: not note.changed):
            yield f"  {'changed' if note.changed else 'note':<9} {printable(note)}"
        stages = ", ".join(f"{label(name)} {s:.1f}" for name, s in self.stages.items())
        yield f"  time      {self.seconds:.1f} s ({stages})"
        if self.peak_memory_bytes is not None:
            yield f"  memory    {self.peak_memory_bytes / 1e6:,.0f} MB at the peak"

    def details(self) -> Iterator[str]:
        """What a person wants to know who wants to know more."""
        settings = self.report.get("settings")
        if isinstance(settings, dict):
            yield f"  settings  {shown(settings)}"
        if self.output_sha256 is not None:
            yield f"  SHA-256   {self.output_sha256}"

    def _ratio(self) -> str:
        small, large = sorted((self.input_bytes, self.output_bytes))
        return (
            f"{size(self.input_bytes)} -> {size(self.output_bytes)} ({large / small:.1f} : 1)"
        )

    def _size(self) -> str:
        line = self._ratio()
        count, noun = (
            (self.gaussians, "Gaussian") if self.anchors is None else (self.anchors, "anchor")
        )
        if count:
            line += f", {self.coded_bytes / count:.2f} bytes per {noun}"
        return f"{line}, method {self.method}"

    def _baked(self, report: dict[str, object]) -> str:
        psnr = report["psnr"]
        like = "" if psnr is None else f", {psnr:.2f} dB against renders of the anchors"
        return f"{self.gaussians:,} Gaussians{like}, {printable(str(report['views']))}"
