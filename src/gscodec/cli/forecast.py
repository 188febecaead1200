"""``--dry-run``: what an encode would take, from the header of a scene alone.

Bytes are those of middling scenes (docs/quality.md), memory is what `footprint` tells: each may
be off by a factor of two, which is told.
"""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gscodec.cli.plans import counted, encoding
from gscodec.disk.files import STDIO, size_of
from gscodec.disk.scenes import binary_gaussians, holds_anchors
from gscodec.errors import InputError, UsageError
from gscodec.report.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

_COUNT = re.compile(rb"^element vertex (\d{1,10})\s*$", re.MULTILINE)
_HEADER = 1 << 16  # bytes in which it is looked for
_USUAL = 3e-4  # lambda
_SLOPE = -0.3  # of log(bytes) over log(lambda)
_USUAL_PSNR, _RISE = 48.0, 0.08  # what it gives in dB, and log(bytes) over dB
_FIXED = 2500  # bytes of networks and notes
_EACH = {"fast": 8.0, "instant": 9.4, "high": 7.0}  # bytes of a Gaussian
_ANCHOR = 45.0
_RAW = 0.79  # of the source
_ANCHORS_LIKE = 3  # Gaussians take what an anchor takes of memory


@dataclass(frozen=True)
class Forecast:
    """What an encode would take, about.

    Attributes:
        primitives: Gaussians or anchors; estimated where only a whole reading counts them.
        anchors: What they are.
        bytes: Of the file.
        seconds: Of one core of a server.
        memory_bytes: At the peak.
    """

    primitives: int
    anchors: bool
    bytes: int
    seconds: float
    memory_bytes: int

    def to_json(self) -> dict[str, object]:
        """As plain JSON values."""
        return {**asdict(self), "about": True}

    def words(self) -> str:
        """For people."""
        noun = "anchors" if self.anchors else "Gaussians"
        return (
            f"about {self.primitives:,} {noun}, {in_units(self.bytes)}, "
            f"{in_time(self.seconds)}, {in_units(self.memory_bytes)} of memory"
        )


def forecast(method: str, options: Mapping[str, Any], source: str, *, verify: bool) -> Forecast:
    """Of an encode of ``source``.

    Raises:
        UsageError: It is stdin.
        InputError: It cannot be read.
    """
    if source == STDIO:
        raise UsageError("--dry-run: stdin tells its size only when it is read; name a file")
    from gscodec.disk.memory import cpus
    from gscodec.footprint import of_encoding

    anchors, size = holds_anchors(source), size_of(source)
    count, degree = binary_gaussians(source) or (_count(source, size), 3)
    raw, effort = method == "raw", options.get("effort", "fast")
    name = "hemgs" if method == "auto" else method
    steps = encoding(name, options, count, anchors=anchors, verify=verify)
    alike, threads = count * (_ANCHORS_LIKE if anchors else 1), options.get("threads")
    memory = of_encoding(alike, degree, method, effort, threads or cpus())
    return Forecast(
        primitives=count,
        anchors=anchors,
        bytes=round(_RAW * size) if raw else bytes_of(count, options, anchors=anchors),
        seconds=sum(step.seconds for step in steps),
        memory_bytes=memory.in_memory,
    )


def bytes_of(count: int, options: Mapping[str, Any], *, anchors: bool = False) -> int:
    """Of the file of so many primitives, by a method that learns."""
    if options.get("target_bytes"):
        return int(options["target_bytes"])
    each = _ANCHOR if anchors else _EACH[options.get("effort", "fast")]
    if options.get("target_psnr"):
        rate = math.exp(_RISE * (options["target_psnr"] - _USUAL_PSNR))
    else:
        rate = (options.get("lam", _USUAL) / _USUAL) ** _SLOPE
    return round(_FIXED + count * rate * each)


def _count(source: str, size: int) -> int:
    """Primitives, by the header if there is one in sight."""
    from gscodec.checkpointio.layout import SCENE_FILE

    path = Path(source)
    if path.is_dir():
        found_in = sorted(path.rglob(SCENE_FILE), key=lambda file: file.stat().st_size)
        return _count(str(found_in[-1]), size) if found_in else counted(size)
    try:
        with path.open("rb") as file:
            found = _COUNT.search(file.read(_HEADER))
    except OSError as error:
        name = printable(source)
        raise InputError(f"{name}: cannot be read: {error.strerror}") from error
    return int(found[1]) if found else counted(size)


def in_units(size: float) -> str:
    """For example ``1.5 MB``."""
    for unit, least in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= least:
            return f"{size / least:.3g} {unit}"
    return f"{size:.0f} bytes"


def in_time(seconds: float) -> str:
    """For example ``90 s`` or ``12 min``."""
    for unit, least in (("h", 5400.0), ("min", 120.0)):
        if seconds >= least:
            return f"{seconds / (3600 if unit == 'h' else 60):.2g} {unit}"
    return f"{seconds:.2g} s"
