"""Finds the lambda that gives a wanted size, PSNR, or the quality of effort fast."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar, cast

from gscodec.errors import UsageError
from gscodec.fit.options import LEAST_LAMBDA, MOST_LAMBDA
from gscodec.notes import Note
from gscodec.payload import weight

if TYPE_CHECKING:
    from collections.abc import Callable

    from gscodec.fit.options import Options
    from gscodec.fit.views import EncoderViews
    from gscodec.method import Coded

_TRIALS = 10
# Stop well inside of what is promised: 3 % of a size, 0.1 dB.
_CLOSE_BYTES, _CLOSE_PSNR = 0.01, 0.03
_PROMISED_BYTES, _PROMISED_PSNR = 0.03, 0.1
_BYTES_SLOPE = -0.2  # of log(bytes) over log(lambda), about: where to look first
_PSNR_SLOPE = -4.0  # dB over log(lambda)
# As good as effort fast at one lambda, dB: what is promised is 0.5.
_CLOSE_TO_FAST = 0.3
# A descent at this part of lambda, coded with steps for so many times as much, ends there, about:
# what is left of the difference is found by trial. Coarser steps after a finer descent take less
# than both at one price. After rounds, or where values settle, both have one price. Virtual views
# are less alike, and some of them near: a descent makes up for less there, and must be finer.
_DESCENT_PRICE, _CODED_COARSER = 0.45, 1.4
_DESCENT_PRICE_VIRTUAL, _CODED_COARSER_VIRTUAL = 0.3, 1.7
_FEW_TRIALS = 4
_STEEPEST, _FLATTEST = -8.0, -1.5  # slopes, as `_PSNR_SLOPE`, that two trials may tell
_USUAL = Note(
    "effort high found nothing smaller of this quality: the file is that of effort fast",
    "effort-fast",
    changed=False,
)
T = TypeVar("T")


def likely(lam: float, views: EncoderViews, *, once: bool) -> float:
    """Where effort high descends so that it ends at the quality that effort fast has at ``lam``.

    A descent trades quality for size where rounding alone cannot, so at one price it ends lower.
    Against photographs there is no such goal: it may end above the source. ``once`` or in rounds.
    """
    if views.photographs is not None:
        return lam
    price = _DESCENT_PRICE_VIRTUAL if once and views.virtual else _DESCENT_PRICE
    return max(lam * price, LEAST_LAMBDA)


def coded_at(descended_at: float, views: EncoderViews, *, once: bool) -> float:
    """The lambda for the steps of what was ``descended_at`` another one, ``once`` or in rounds."""
    if not once:
        return descended_at
    return descended_at * (_CODED_COARSER_VIRTUAL if views.virtual else _CODED_COARSER)


def as_good_as(
    fast: Callable[[], Coded],
    finished: Callable[[float], Coded],
    start: float,
    views: EncoderViews,
    options: Options,
) -> Coded:
    """The file of effort high that looks as good as that of effort ``fast``, or the latter.

    The smaller one of them for its quality: a descent may find less than rounding alone.

    Args:
        fast: Codes at effort fast; not called where photographs are the target.
        finished: Ends the descent at a lambda; takes minutes, hence few are tried.
        start: As of `coded_at`.
        views: To look through.
        options: Of effort high. Against the clock, the first trial counts.
    """
    if views.photographs is not None:
        return _with_notes(finished(start), views)
    usual = fast()
    wanted = views.psnr(usual.lossy)

    def result(lam: float) -> tuple[Coded, float]:
        coded = finished(lam)
        return coded, views.psnr(coded.lossy)

    trials = _FEW_TRIALS if options.time_limit is None else 1
    found, quality = as_good(result, start, wanted, trials)
    bytes_by_db = math.exp(_BYTES_SLOPE / _PSNR_SLOPE)
    if weight(found.payload.streams) >= weight(usual.payload.streams) * bytes_by_db ** (
        quality - wanted
    ):
        return replace(usual, notes=(*usual.notes, _USUAL))
    settings = cast("dict[str, object]", found.payload.meta["settings"])
    meta = {**found.payload.meta, "settings": {**settings, "lambda": options.lam}}
    return _with_notes(replace(found, payload=replace(found.payload, meta=meta)), views)


def _with_notes(coded: Coded, views: EncoderViews) -> Coded:
    """With what views that nothing aimed at say."""
    return replace(coded, notes=(*coded.notes, *views.told(coded.lossy)))


def as_good(
    result: Callable[[float], tuple[T, float]], start: float, wanted: float, trials: int
) -> tuple[T, float]:
    """What ``result`` makes of a lambda near ``start`` at which its PSNR is ``wanted``, about.

    Args:
        result: Lambda -> something and its PSNR in dB; takes minutes, hence few are tried.
        start: The first lambda.
        wanted: PSNR in dB.
        trials: Lambdas to try at most.
    """
    tried: list[tuple[T, float]] = []
    least, most = math.log(LEAST_LAMBDA), math.log(MOST_LAMBDA)
    known: list[tuple[float, float]] = []
    at, slope = math.log(start), _PSNR_SLOPE
    for _ in range(trials):
        tried.append(result(math.exp(at)))
        known.append((at, tried[-1][1] - wanted))
        if abs(known[-1][1]) < _CLOSE_TO_FAST:
            break
        if len(known) > 1 and known[-1][0] != known[-2][0]:
            (x0, y0), (x1, y1) = known[-2:]
            slope = min(max((y1 - y0) / (x1 - x0), _STEEPEST), _FLATTEST)
        at = min(max(at - known[-1][1] / slope, least), most)
    return min(tried, key=lambda found: abs(found[1] - wanted))


def search(
    result: Callable[[float], float],
    start: float,
    target_bytes: int | None,
    target_psnr: float | None,
) -> float:
    """The lambda at which ``result`` (bytes, or PSNR in dB) is as wanted; it falls with lambda.

    Raises:
        UsageError: Out of reach; says what is in reach.
    """
    if target_bytes is not None:
        goal, slope, close = math.log(target_bytes), _BYTES_SLOPE, _CLOSE_BYTES
    else:
        goal, slope, close = float(target_psnr or 0), _PSNR_SLOPE, _CLOSE_PSNR

    def excess(log_lam: float) -> float:
        found = result(math.exp(log_lam))
        return (math.log(found) if target_bytes is not None else found) - goal

    least, most = math.log(LEAST_LAMBDA), math.log(MOST_LAMBDA)
    at = math.log(start)
    known: list[tuple[float, float]] = []
    for _ in range(_TRIALS):
        known.append((at, excess(at)))
        if abs(known[-1][1]) < close:
            break
        if (at == most and known[-1][1] > 0) or (at == least and known[-1][1] < 0):
            raise _out_of_reach(result, target_bytes)
        at = min(max(_next(known, slope), least), most)
    return math.exp(min(known, key=lambda point: abs(point[1]))[0])


def is_met(found: float, target_bytes: int | None, target_psnr: float | None) -> bool:
    """Whether ``found`` bytes, or PSNR, are as near to the target as is promised."""
    if target_bytes is not None:
        return abs(found - target_bytes) <= _PROMISED_BYTES * target_bytes
    return target_psnr is not None and abs(found - target_psnr) <= _PROMISED_PSNR


def require_psnr(found: float, target: float) -> None:
    """Refuses what the search has ended with, where that is not what was promised.

    Raises:
        UsageError: It is more than 0.1 dB from ``target``.
    """
    if not is_met(found, None, target):
        raise UsageError(
            f"target PSNR {target:g} dB: missed, the nearest file has {found:.2f} dB; nothing was "
            "written. Choose another target, or a lambda"
        )


def _next(known: list[tuple[float, float]], slope: float) -> float:
    """Where a line through the two nearest points on both sides, or on one, crosses zero."""
    above = max((p for p in known if p[1] > 0), default=None)
    below = min((p for p in known if p[1] <= 0), default=None)
    if above and below:
        share = above[1] / (above[1] - below[1])
        # Not too near to either end, so that the bracket shrinks for any curve.
        share = min(max(share, 0.1), 0.9)
        return above[0] + share * (below[0] - above[0])
    at, value = known[-1]
    return at - 1.3 * value / slope


def _out_of_reach(result: Callable[[float], float], target_bytes: int | None) -> UsageError:
    large, small = result(LEAST_LAMBDA), result(MOST_LAMBDA)
    if target_bytes is not None:
        return UsageError(
            f"target size {target_bytes:,} bytes: out of reach, this scene takes "
            f"{small:,.0f} to {large:,.0f} bytes, about; aim within, or leave the target out"
        )
    return UsageError(
        f"target PSNR: out of reach, this scene has {small:.2f} to {large:.2f} dB; aim within, or "
        "leave the target out"
    )
