"""The file that is wanted: at one lambda, as good as effort fast, of a size, or of a PSNR.

A model is learned at one lambda and codes at this lambda, or at another one nearby (`Model.at`),
so that a search needs no other fit.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from gscodec.errors import CannotCodeError, UsageError
from gscodec.fit.gaussians import voxel_bits
from gscodec.fit.options import LEAST_LAMBDA
from gscodec.kinds.aside import apart
from gscodec.kinds.finite import check_finite
from gscodec.learned.assembly import assembled
from gscodec.learned.encoding import settled_blocks
from gscodec.learned.high import optimised
from gscodec.learned.rates import as_good_as, coded_at, is_met, likely, require_psnr, search
from gscodec.learned.run import Run
from gscodec.learned.settling import Settling
from gscodec.learned.state import set_aside
from gscodec.learned.tiles import Tile, coded_blocks
from gscodec.payload import weight

if TYPE_CHECKING:
    from collections.abc import Callable

    from gscodec.anchors import Scene
    from gscodec.fit.options import Given, Options
    from gscodec.fit.subject import Work
    from gscodec.kinds.aside import Aside
    from gscodec.learned.model import Learner, Model
    from gscodec.method import Coded, Progress

_OVERHEAD = 600  # bytes of header and notes, about
_MOST_CHOICES = 3  # of what is coded, until it is nearly that of the lambda it is coded at
_FINER = 0.25  # of the lambda at which what is chosen cannot reach the goal


def encode(
    method: Learner, scene: Scene, options: Options, given: Given, progress: Progress
) -> Coded:
    """Fits ``method`` to ``scene`` and codes it.

    Raises:
        CannotCodeError: The lattice or the integers cannot hold some value; method raw can.
        SceneError: The scene holds NaN, or infinity where it means nothing.
        UsageError: A wanted size or PSNR is out of reach, or ``given`` does not go with
            ``options``.
    """
    given.check(options)
    if not len(scene):
        raise CannotCodeError("the scene is empty")
    check_finite(scene, given.room)

    def code(aside: Aside) -> Coded:
        run = Run.of(method, aside, options, given, progress)
        if options.target_bytes is None and options.target_psnr is None:
            return _at(run, options.lam)
        return _at_target(run)

    known = {} if given.resume is None else set_aside(given.resume)
    depth = partial(voxel_bits, asked=options) if options.merge_voxels else None
    return apart(scene, code, known, given.room, depth)


def _at(run: Run, lam: float) -> Coded:
    """The file at ``lam``; effort high as good as fast, see `rates.likely`."""
    if not run.descends:
        return _finished(run, *_chosen(run, lam, run.given.start), lam)
    once = run.subject.descends_once(run)
    start = likely(lam, run.views, once=once)
    work, model = _chosen(run, start, None)

    def finished(tried: float) -> Coded:
        return _finished(run, work, model.at(tried / start), tried)

    def fast() -> Coded:
        options, given = run.options.of_fast(), run.given.of_fast()
        if run.views.held_out:  # nor does fast aim at what judges both
            views = replace(run.views, held_out=False)
            return _at(replace(run, options=options, given=given, views=views), lam)
        return _at(Run.of(run.method, run.aside, options, given, run.progress), lam)

    first = coded_at(start, run.views, once=once)
    return as_good_as(fast, finished, first, run.views, run.options)


def _at_target(run: Run) -> Coded:
    """The file that has the wanted size or PSNR: the fit is reused while searching."""
    options = run.options
    run.subject.check(run, options.lam)
    # What is worth its bits depends on the lambda that is looked for; all of it reaches any goal.
    work, model = _as_is(run, options.lam, run.given.start, prune=False)
    lam, found, value = _search(run, partial(_coded, run, work), model, options.lam)
    if run.descends:
        lam = likely(lam, run.views, once=run.subject.descends_once(run))
        work, model = _chosen(run, lam, model)
        _, found, value = _search(run, partial(_finished, run, work), model, lam)
    else:
        found, value = _of_what_is_worth_it(run, model, lam) or (found, value)
    if options.target_psnr is not None:
        require_psnr(value, options.target_psnr)
    return found


def _of_what_is_worth_it(run: Run, model: Model, lam: float) -> tuple[Coded, float] | None:
    """The wanted file, and its bytes or PSNR, without what ``lam``, about, does not pay for.

    None where it is not found: what is left out at one lambda may be missed at the next.
    """
    found = None
    for _ in range(_MOST_CHOICES):
        chosen_at = lam
        work, model = _chosen(run, chosen_at, model)
        try:
            lam, coded, value = _search(run, partial(_finished, run, work), model, chosen_at)
        except UsageError:
            lam = max(chosen_at * _FINER, LEAST_LAMBDA)
            continue
        if is_met(value, run.options.target_bytes, run.options.target_psnr):
            found = coded, value
        if abs(math.log2(lam / chosen_at)) < 1:
            break
    return found


def _search(
    run: Run, code: Callable[[Model, float], Coded], model: Model, fitted: float
) -> tuple[float, Coded, float]:
    """Lambda, file, and its bytes or PSNR; ``model`` is learned at ``fitted``."""
    tried: dict[float, tuple[Coded, float]] = {}
    overhead = _overhead(run)

    def result(lam: float) -> float:
        coded = code(model.at(lam / fitted), lam)
        if run.options.target_psnr is not None:
            found = run.views.psnr(coded.lossy)
        else:
            found = float(weight(coded.payload.streams) + overhead)
        tried[lam] = coded, found
        return found

    best = search(result, fitted, run.options.target_bytes, run.options.target_psnr)
    return best, *tried[best]


def _overhead(run: Run) -> int:
    """Bytes of a file besides the streams of its method, about."""
    told = run.aside.meta()
    return _OVERHEAD + run.given.besides + (len(json.dumps(told)) if told else 0)


def _chosen(run: Run, lam: float, start: object) -> tuple[Work, Model]:
    """What is coded at ``lam``, and what codes it; effort fast may go on from ``start``."""
    run.subject.check(run, lam)
    if run.descends:
        return optimised(run, lam)
    return _as_is(run, lam, start)


def _as_is(run: Run, lam: float, start: object, *, prune: bool = True) -> tuple[Work, Model]:
    work = replace(run.as_is(lam, prune=prune), start=start)
    return work, run.fit(work, lam)


def _coded(run: Run, work: Work, model: Model, lam: float) -> Coded:
    """The file of ``work`` under ``model``, values as they are."""
    return assembled(run, work, model, lam, coded_blocks(run, work, model, lam), work.scene)


def _made_up_for(run: Run, work: Work, model: Model, lam: float) -> Work:
    """``work`` with colours that make up for what coding it changes, see `fit.recolouring`."""
    if not run.looks:
        return work

    def decoded(work: Work) -> Scene:
        return Tile.of(run, work, model, lam).decoded(run.given.room)

    return run.subject.recoloured(run, work, decoded)


def _finished(run: Run, work: Work, model: Model, lam: float) -> Coded:
    """As `_coded`; what is decoded is mended by colours, or settles after a descent."""
    if not (run.descends and run.subject.manner.settle_share):
        return _coded(run, _made_up_for(run, work, model, lam), model, lam)
    settling = Settling(run, work, model, lam)
    done = settled_blocks(run, work, model, lam, settling)
    return assembled(run, work, model, lam, done, settling.scene())
