"""Settings of an encoder that learns, and what one run of it is given besides."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gscodec.errors import UsageError
from gscodec.geometry import MAX_BITS
from gscodec.room import MEMORY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gscodec.camera import TargetViews
    from gscodec.room import Room
    from gscodec.tiling import Tiling

LEAST_LAMBDA, MOST_LAMBDA = 1e-6, 1.0
MAX_BLOCK_SIZE = 65_536  # of a file; of an encoder unless said otherwise
MAX_ITERATIONS = 10**8
ITERATIONS = 1500  # of effort high, unless said otherwise
ITERATIONS_TO_SOURCE = 600  # the same of Gaussians without photographs
# Fewer primitives than `_FEW` are learned in a share of the iterations, as if there were `_FEWEST` at
# least: each is still looked at many thousand times.
_FEW, _FEWEST = 128, 8
EFFORTS = ("instant", "fast", "high")
# Names for lambdas; what they give on real scenes is in docs/quality.md.
QUALITIES = {"low": 4e-3, "medium": 1e-3, "high": 3e-4, "best": 5e-5}


def with_lambda(options: Mapping[str, Any]) -> dict[str, Any]:
    """``options`` with the lambda that their ``quality`` names in its place.

    Raises:
        UsageError: There is a ``lam`` too, or no quality of this name.
    """
    quality, rest = options.get("quality"), {n: options[n] for n in options if n != "quality"}
    if quality is None:
        return rest
    if quality not in QUALITIES:
        raise UsageError(f"quality: found {quality!r}, expected {', '.join(QUALITIES)}")
    if "lam" in rest:
        raise UsageError("quality and lam: choose one of them")
    return {**rest, "lam": QUALITIES[quality]}


def enough(iterations: float, count: int) -> float:
    """How many of so many ``iterations`` teach a model of ``count`` primitives."""
    return iterations * min(1.0, max(count, _FEWEST) / _FEW)


@dataclass(frozen=True)
class Options:
    """Settings of the encoder: plain values, of which equal ones ask for the same.

    Attributes:
        lam: Lagrangian weight of bits against distortion, 1e-6 to 1; larger is smaller and
            worse. The paper's range is 5e-4 to 4e-3.
        effort: "fast" learns the entropy model only; "high" also changes values, through the
            renderer, so that they cost less and show the same; "instant" learns a little, and
            estimates what values show instead of measuring it in renders.
        iterations: Of effort high.
        time_limit: Seconds that effort high may take for optimising, about; a file that was
            made against the clock cannot be made again bit for bit.
        target_bytes: Size to reach within 3 %, by changing ``lam``.
        target_psnr: Mean PSNR over the views to reach within 0.1 dB, by changing ``lam``.
        position_bits: Depth of the octree, 1 to 21; None chooses it from data and ``lam``.
        merge_voxels: Whether Gaussians in one voxel become one: a cell of the octree, or as fine
            as its positions would be without displacements.
        keep_all: Whether to code also Gaussians that show less than their bits are worth.
        seed: Of the training. Same input, seed, machine and version give the same file.
        device: Where to train: "auto", "cpu" or "cuda".
        threads: CPU threads; None takes all.
        training: Iterations of the training of the model; few primitives take fewer.
        round_length: Iterations of effort high under one model, at least.
        block_size: Primitives of a block, at most 65,536; a block is decoded on its own.
        raw_below: Primitives up to which method raw is tried too, and taken if it is smaller.
    """

    lam: float = QUALITIES["high"]
    effort: str = "fast"
    iterations: int | None = None
    time_limit: float | None = None
    target_bytes: int | None = None
    target_psnr: float | None = None
    position_bits: int | None = None
    merge_voxels: bool = False
    keep_all: bool = False
    seed: int = 0
    device: str = "auto"
    threads: int | None = None
    training: int = 1000
    round_length: int = 300
    block_size: int = MAX_BLOCK_SIZE
    raw_below: int = 5000

    def of_fast(self) -> Options:
        """The same settings at effort fast."""
        return replace(self, effort="fast", iterations=None, time_limit=None)

    def told(self, lam: float, position_bits: int) -> dict[str, object]:
        """What the notes of a file say, with what was chosen in place of None.

        Nothing else decides which settings are told. These say how coarse a file is; the others
        say how it was found, and tell a reader nothing about what it holds. Another one would
        change the bytes of every file, so it waits for the next version of the format.
        """
        return {
            "lambda": lam,
            "effort": self.effort,
            "position_bits": position_bits,
            "seed": self.seed,
        }

    def __post_init__(self) -> None:
        if not LEAST_LAMBDA <= self.lam <= MOST_LAMBDA:
            raise UsageError(
                f"lambda: found {self.lam:g}, expected {LEAST_LAMBDA:g} to {MOST_LAMBDA:g}"
            )
        if self.effort not in EFFORTS:
            raise UsageError(f"effort: found {self.effort!r}, expected instant, fast or high")
        if self.effort != "high":
            for name in ("iterations", "time_limit"):
                if getattr(self, name) is not None:
                    raise UsageError(f"{name.replace('_', ' ')}: only effort high has it")
        if self.iterations is not None and self.iterations < 1:
            raise UsageError(f"iterations: found {self.iterations}, expected at least 1")
        if self.time_limit is not None and not self.time_limit > 0:
            raise UsageError(f"time limit: found {self.time_limit:g} s, expected more than 0")
        if self.target_bytes is not None and self.target_psnr is not None:
            raise UsageError("target size and target PSNR: choose one of them")
        if self.target_bytes is not None and self.target_bytes < 1:
            raise UsageError(f"target size: found {self.target_bytes}, expected at least 1")
        if self.target_psnr is not None and not 0 < self.target_psnr < 100:
            raise UsageError(f"target PSNR: found {self.target_psnr:g}, expected 0 to 100 dB")
        if self.position_bits is not None and not 1 <= self.position_bits <= MAX_BITS:
            raise UsageError(f"position bits: found {self.position_bits}, expected 1 to 21")
        if self.device not in {"auto", "cpu", "cuda"}:
            raise UsageError(f"device: found {self.device!r}, expected auto, cpu or cuda")
        if self.threads is not None and self.threads < 1:
            raise UsageError(f"threads: found {self.threads}, expected at least 1")
        for name, least, most in (
            ("training", 1, MAX_ITERATIONS),
            ("round_length", 1, MAX_ITERATIONS),
            ("block_size", 1, MAX_BLOCK_SIZE),
        ):
            value = getattr(self, name)
            if not least <= value <= most:
                raise UsageError(
                    f"{name.replace('_', ' ')}: found {value}, expected {least} to {most}"
                )


@dataclass(frozen=True)
class Given:
    """What one run is given besides settings.

    Attributes:
        views: What to look at; None chooses virtual cameras from the scene.
        resume: State of an interrupted optimisation, from ``checkpoint``.
        checkpoint: Called with the state now and then.
        start: Model of a file of the same scene, at any lambda: training goes on from it where
            the method can, in a part of the time.
        besides: Bytes of the file that no method makes, about: notes and extra properties; for
            a wanted size.
        room: Where scenes are that are made on the way.
        tiling: How the scene is cut and who codes it, where blocks are coded apart.
    """

    views: TargetViews | None = None
    resume: bytes | None = None
    checkpoint: Callable[[bytes], None] | None = None
    start: object = None
    besides: int = 0
    room: Room = MEMORY
    tiling: Tiling | None = None

    def of_fast(self) -> Given:
        """The same for effort fast, which is not interrupted."""
        return replace(self, resume=None, checkpoint=None)

    def check(self, options: Options) -> None:
        """Refuses what does not go with ``options``.

        Raises:
            UsageError: There is a state to go on from, which only effort high has.
        """
        if self.resume is not None and options.effort != "high":
            raise UsageError("resume: only effort high has it")
