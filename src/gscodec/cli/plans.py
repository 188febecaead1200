"""What a run is going to do, and how long each step takes, about: for progress and for --dry-run.

Seconds were measured with ``python tests/benchmarks/progress.py --record``, on one core of a
2.5 GHz server; a run corrects them by its own pace (`estimate`), so that their ratios matter.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from gscodec.cli.estimate import Step

if TYPE_CHECKING:
    from collections.abc import Mapping

_MANY = 100_000  # primitives that the second number of `Cost` is for


class Cost(NamedTuple):
    """Seconds that a stage takes in any case, and for each 100,000 primitives."""

    fixed: float
    each: float

    def of(self, count: int, factor: float = 1.0) -> float:
        """For ``count`` primitives."""
        return self.fixed + factor * self.each * count / _MANY


_READ, _WRITE = Cost(0.1, 0.2), Cost(0.05, 0.05)
_LOADING = Cost(1.0, 0.3)  # of libraries that learn, while reading
_RAW = {"code": Cost(0.1, 0.8), "verify": Cost(0.1, 1.6)}
_INSTANT = {
    "views": Cost(0.1, 0.0),
    "measure": Cost(0.2, 0.16),
    "fit": Cost(1.4, 0.35),
    "code": Cost(0.1, 1.25),
    "look": Cost(0.1, 0.0),
    "verify": Cost(0.1, 0.9),
}
_FAST = {
    "views": Cost(2.4, 0.6),
    "prune": Cost(7.5, 2.2),
    "measure": Cost(0.6, 4.0),
    "predict": Cost(0.1, 0.2),
    "fit": Cost(3.0, 6.4),
    "colour": Cost(0.5, 14.5),
    "code": Cost(0.1, 0.8),
    "look": Cost(0.2, 0.8),
    "verify": Cost(0.1, 0.7),
}
_LEARNED = 65_536  # primitives that effort instant learns from at most
_LEARNING = {"measure": 2.0, "fit": 3.4}  # its seconds for each 100,000 of these, besides
_ANCHOR = 3.0  # an anchor takes as long as so many Gaussians
_FIT = {"hac": 10.0, "ralhe": 2.5}  # times that of hemgs
_CODED = 0.65  # of the seconds of stage code, after which all blocks are coded
_TRIALS = 4  # that a search for a size or a PSNR takes, about
_ITERATION = Cost(0.05, 0.25)  # of effort high
_SETTLING = 0.25  # of anchors: iterations after the descent, for each of it, in each trial
_CAMERAS = Cost(2.5, 0.3)  # to find, or to see whether they fit
_DRAWN = Cost(0.15, 0.1)  # a view of one scene
_JUDGED = Cost(0.4, 0.2)  # a view of two scenes, with all that is measured of it
_MATCHED = Cost(0.3, 1.5)


def encoding(
    method: str,
    options: Mapping[str, Any],
    count: int,
    *,
    anchors: bool = False,
    verify: bool = True,
) -> tuple[Step, ...]:
    """The steps of an encode of ``count`` primitives.

    Args:
        method: Name, not ``auto``.
        options: That were given.
        count: Of Gaussians, or of ``anchors``.
        anchors: What it counts.
        verify: Whether the result is decoded and looked at.
    """
    alike = round(count * _ANCHOR) if anchors else count
    steps = _steps(method, options, alike, anchors=anchors)
    left = set() if verify else {"look", "verify"}
    if options.get("keep_all"):
        left.add("prune")
    kept = [step for step in steps if step.name not in left]
    learns = method != "raw" and options.get("effort") != "instant"
    loading = _LOADING.of(count) if learns else 0.0
    return (Step("read", _READ.of(count) + loading), *kept, Step("write", _WRITE.of(count)))


def _steps(method: str, options: Mapping[str, Any], count: int, *, anchors: bool) -> list[Step]:
    if method == "raw":
        return [Step(name, cost.of(count)) for name, cost in _RAW.items()]
    effort = options.get("effort", "fast")
    instant = effort == "instant"
    costs, learning = (_INSTANT, _LEARNING) if instant else (_FAST, {})
    learned = min(count, _LEARNED) / _MANY
    steps = {
        name: Step(
            name,
            cost.of(count, _FIT.get(method, 1.0) if name == "fit" else 1.0)
            + learned * learning.get(name, 0.0),
        )
        for name, cost in costs.items()
        if (name != "predict" or method == "predict-gs")
        and not (anchors and name in {"prune", "colour"})
    }
    code = steps["code"]
    steps["code"] = replace(code, reports=_CODED)
    if options.get("target_bytes") or options.get("target_psnr"):
        trial = code.seconds + (steps["colour"].seconds if "colour" in steps else 0.0)
        parts = frozenset({"colour"})
        steps["code"] = replace(code, seconds=_TRIALS * trial, within=parts, repeats=True)
        steps.pop("colour", None)
    if effort == "high":
        return _high(steps, options, count)
    return list(steps.values())


def _high(steps: dict[str, Step], options: Mapping[str, Any], count: int) -> list[Step]:
    """Rounds of measuring, fitting and descending are one step; so is all that ends them."""
    from gscodec.fit.options import ITERATIONS, ITERATIONS_TO_SOURCE

    fit = sum(steps[name].seconds for name in ("measure", "fit", "predict") if name in steps)
    # To photographs Gaussians take more.
    usual = ITERATIONS_TO_SOURCE if "colour" in steps else ITERATIONS
    iterations = options.get("iterations") or usual
    limit = options.get("time_limit")
    descent = limit or iterations * _ITERATION.of(count)
    # Anchors settle; of Gaussians, colours are found, for the file of effort fast and in trials.
    trials = _TRIALS * steps["colour"].seconds if "colour" in steps else _SETTLING * descent
    parts = frozenset({"prune", "measure", "fit", "predict", "optimise", "colour"})
    return [
        steps["views"],
        Step("optimise", descent + 2 * fit, parts),
        Step("code", fit + steps["code"].seconds + trials, parts | {"views"}, repeats=True),
        *(steps[name] for name in ("look", "verify")),
    ]


def decoding(count: int, *, anchors: bool = False, raw: bool = False) -> tuple[Step, ...]:
    """The steps of a decode of ``count`` primitives."""
    alike = round(count * _ANCHOR) if anchors else count
    decode: tuple[Step, ...]
    if raw:
        decode = (Step("decode", Cost(0.1, 0.8).of(alike)),)
    else:
        decode = (
            Step("networks", 0.1),
            Step("positions", Cost(0.05, 0.3).of(alike)),
            Step("decode", Cost(0.1, 1.6).of(alike)),
        )
    return (Step("read", 0.1), *decode, Step("write", Cost(0.05, 0.2).of(alike)))


def comparing(count: int, views: int) -> tuple[Step, ...]:
    """The steps of comparing two scenes, the larger one of ``count`` primitives."""
    return (
        Step("read", 2 * _READ.of(count) + _LOADING.fixed),
        Step("cameras", _CAMERAS.of(count)),
        Step("render", _LOADING.fixed + views * _JUDGED.of(count)),
        Step("match", _MATCHED.of(count)),
    )


def before_curves(count: int, views: int, spz: str) -> tuple[Step, ...]:
    """The steps of a measurement of rates before its first encode; ``spz`` is SPZ's name."""
    return (
        Step("read", _READ.of(count) + _LOADING.of(count)),
        Step("cameras", _CAMERAS.of(count)),
        Step("render source", views * _DRAWN.of(count)),
        Step(f"{spz} encode", 0.1),
        Step(f"{spz} render", views * _DRAWN.of(count)),
    )


def point(
    name: str,
    method: str,
    options: Mapping[str, Any],
    count: int,
    views: int,
    *,
    anchors: bool = False,
) -> tuple[Step, ...]:
    """The steps of one point of a curve, whose stages begin with its ``name``."""
    steps = [
        replace(
            step,
            name=f"{name} {step.name}",
            within=frozenset(f"{name} {stage}" for stage in step.within),
        )
        for step in encoding(method, options, count, anchors=anchors)[1:-1]
    ]
    return (*steps, Step(f"{name} render", views * _DRAWN.of(count)))


def counted(size: int) -> int:
    """Gaussians in a source of ``size`` bytes, about, as long as nobody has counted them."""
    return max(1, size // _BYTES_EACH)


_BYTES_EACH = 236
