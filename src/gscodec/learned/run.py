"""One run of the encoder: scene -> measured -> prepared -> fitted -> coded -> assembled.

Each step is a function of the values before it: `Work` is a scene that is ready to be modelled,
a `Model` is learned for it at one lambda and codes it at this lambda, or at another one nearby
(`Model.at`), which is how a wanted size or PSNR is found.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from gscodec.errors import CannotCodeError
from gscodec.intnet.context import MAX_MEAN
from gscodec.kinds.aside import apart
from gscodec.kinds.finite import check_finite
from gscodec.learned.assembly import assembled
from gscodec.learned.encoding import coded_blocks, settled_blocks
from gscodec.learned.rates import as_good_as, likely, require_psnr, search
from gscodec.learned.state import set_aside

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gscodec.anchors import Scene
    from gscodec.fit.options import Options
    from gscodec.fit.subject import Subject, Work
    from gscodec.fit.views import EncoderViews
    from gscodec.kinds.aside import Aside
    from gscodec.learned.method import LearnedMethod
    from gscodec.learned.model import Model
    from gscodec.method import Coded, Progress

_OVERHEAD = 800  # bytes of header, notes and envelopes, about
_ENVELOPE = 40  # of each stream more, about


@dataclass(frozen=True)
class Run:
    """What all steps see.

    Attributes:
        method: That codes.
        aside: The scene, and what of it is kept exactly.
        subject: What is coded of it.
        options: What is wanted.
        progress: Hears how far the work is.
        views: What the encoder looks at.
    """

    method: LearnedMethod
    aside: Aside
    subject: Subject
    options: Options
    progress: Progress
    views: EncoderViews

    @classmethod
    def of(
        cls, method: LearnedMethod, aside: Aside, options: Options, progress: Progress
    ) -> Run:
        """Chooses views for what is not ``aside``.

        Raises:
            CannotCodeError: The integers cannot hold some value.
        """
        from gscodec.fit.subjects import subject_of
        from gscodec.fit.views import choose_views

        subject = subject_of(aside, options)
        progress("views", 0.0)
        views = choose_views(subject.scene, options.views, options.effort)
        return cls(method, aside, subject, options, progress, views)

    @property
    def descends(self) -> bool:
        """Whether values are found through the renderer."""
        return self.options.effort == "high" and bool(self.views.cameras)

    def work(self, scene: Scene, index: NDArray[np.int64], lam: float, *, prune: bool) -> Work:
        """``scene``, primitives ``index`` of the original one, ready to be modelled."""
        return self.subject.prepared(self, scene, index, lam, prune=prune)

    def fit(self, work: Work, lam: float, share: float = 1.0) -> Model:
        """Learns the model, in ``share`` of the usual number of iterations.

        Raises:
            CannotCodeError: The integers cannot hold some value.
        """
        targets = work.source.targets(self.subject.price(lam), lam)
        report = partial(self.progress, "fit")
        model = self.method.fit(work, targets, self.options, share, report)
        if model.farthest_mean() > MAX_MEAN:
            raise CannotCodeError("a group's values are far from zero and close to each other")
        return model

    def chosen(self, lam: float) -> tuple[Work, Model]:
        """What is coded at ``lam``, and what codes it."""
        self.subject.check(self, lam)
        if self.descends:
            from gscodec.learned.high import optimised

            return optimised(self, lam)
        work = self.as_is(lam)
        return work, self.fit(work, lam)

    def as_is(self, lam: float) -> Work:
        """The scene as effort fast codes it."""
        scene, prune = self.subject.scene, self.subject.always_prunes
        return self.work(scene, np.arange(len(scene)), lam, prune=prune)

    def coded(self, work: Work, model: Model, lam: float) -> Coded:
        """The file of ``work`` under ``model``, values as they are."""
        return assembled(
            self, work, model, lam, coded_blocks(self, work, model, lam), work.scene
        )

    def finished(self, work: Work, model: Model, lam: float) -> Coded:
        """As `coded`, after settling if values are found through the renderer."""
        if not self.descends:
            return self.coded(work, model, lam)
        from gscodec.learned.settling import Settling

        settling = Settling(self, work, model, lam)
        done = settled_blocks(self, work, model, lam, settling)
        return assembled(self, work, model, lam, done, settling.scene())


def encode(method: LearnedMethod, scene: Scene, options: Options, progress: Progress) -> Coded:
    """Fits ``method`` to ``scene`` and codes it.

    Raises:
        CannotCodeError: The lattice or the integers cannot hold some value; method raw can.
        SceneError: The scene holds NaN, or infinity where it means nothing.
        UsageError: A wanted size or PSNR is out of reach.
    """
    if not len(scene):
        raise CannotCodeError("the scene is empty")
    check_finite(scene)

    def code(aside: Aside) -> Coded:
        run = Run.of(method, aside, options, progress)
        if options.target_bytes is None and options.target_psnr is None:
            return _at(run, options.lam)
        return _at_target(run)

    known = {} if options.resume is None else set_aside(options.resume)
    return apart(scene, code, known)


def _at(run: Run, lam: float) -> Coded:
    """The file at ``lam``; effort high as good as fast, see `rates.likely`."""
    if not run.descends:
        return run.coded(*run.chosen(lam), lam)
    start = likely(lam, run.views)
    work, model = run.chosen(start)

    def finished(tried: float) -> Coded:
        return run.finished(work, model.at(tried / start), tried)

    def fast() -> Coded:
        options = run.options.of_fast()
        return _at(Run.of(run.method, run.aside, options, run.progress), lam)

    return as_good_as(fast, finished, start, run.views, run.options)


def _at_target(run: Run) -> Coded:
    """The file that has the wanted size or PSNR: the fit is reused while searching."""
    options = run.options
    run.subject.check(run, options.lam)
    work = run.as_is(options.lam)
    model = run.fit(work, options.lam)
    lam, *_ = _search(run, partial(run.coded, work), model, options.lam)
    if run.descends:
        lam = likely(lam, run.views)
    work, model = run.chosen(lam)
    _, found, value = _search(run, partial(run.finished, work), model, lam)
    if options.target_psnr is not None:
        require_psnr(value, options.target_psnr)
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
            found = float(sum(len(s.data) for s in coded.payload.streams) + overhead)
        tried[lam] = coded, found
        return found

    best = search(result, fitted, run.options.target_bytes, run.options.target_psnr)
    return best, *tried[best]


def _overhead(run: Run) -> int:
    """Bytes of a file besides the streams of its method, about."""
    told = run.aside.meta()
    size = _OVERHEAD + run.options.besides
    return size + (_ENVELOPE + len(json.dumps(told)) if told else 0)
