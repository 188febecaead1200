"""One run of the encoder: what all steps see, and the first of them.

scene -> measured -> prepared (`Work`) -> fitted (`Model`) -> coded -> assembled; the last two are
in `encoding` and `assembly`, and `wanted` puts all of them together.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from gscodec.errors import CannotCodeError
from gscodec.fit.subject import Asked
from gscodec.intnet.context import MAX_MEAN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.anchors import Scene
    from gscodec.fit.drawing import Moving
    from gscodec.fit.options import Given, Options
    from gscodec.fit.subject import Columns, Subject, Work
    from gscodec.fit.targets import Targets
    from gscodec.kinds.aside import Aside
    from gscodec.learned.model import Learner, Model
    from gscodec.method import Progress


@dataclass(frozen=True)
class Run(Asked):
    """What all steps see.

    Attributes:
        method: That codes.
        subject: What is coded of the scene.
    """

    method: Learner
    subject: Subject

    @classmethod
    def of(
        cls, method: Learner, aside: Aside, options: Options, given: Given, progress: Progress
    ) -> Run:
        """Chooses views for what is not ``aside``.

        Raises:
            CannotCodeError: The integers cannot hold some value.
        """
        from gscodec.fit.subjects import subject_of
        from gscodec.fit.views import choose_views

        subject = subject_of(aside, options)
        progress("views", 0.0)
        views = choose_views(subject.shown, given.views, options.effort, more=subject.recolours)
        return cls(aside, options, given, progress, views, method, subject)

    def work(self, scene: Scene, index: NDArray[np.int64], lam: float, *, prune: bool) -> Work:
        """``scene``, primitives ``index`` of the original one, ready to be modelled."""
        found = self.subject.prepared(self, scene, index, lam, prune=prune)
        targets = self._targets(found, lam)
        report = partial(self.progress, "predict")
        return self.method.prepare(found, targets, self.options, report)

    def _targets(self, work: Work, lam: float) -> Targets:
        from gscodec.fit.targets import Targets

        return Targets(work.source, self.subject.price(lam), lam)

    def drawing(self, work: Work) -> Moving:
        """``work`` as it is drawn while its columns change."""
        drawing = self.subject.drawing(self, work)
        if work.mixing is None:
            return drawing
        decisions = sum(unit.decides for unit in self.subject.kind.units)
        return work.mixing.drawing(drawing, decisions)

    def moved(self, work: Work, columns: Columns, drawing: Moving) -> Scene:
        """The scene of ``work`` after a descent to ``columns``."""
        if work.mixing is not None:
            columns = work.mixing.values(columns)
        return self.subject.moved(work, columns, drawing)

    def fit(self, work: Work, lam: float, share: float = 1.0) -> Model:
        """Learns the model, in ``share`` of the usual number of iterations.

        Raises:
            CannotCodeError: The integers cannot hold some value.
        """
        targets = self._targets(work, lam)
        report = partial(self.progress, "fit")
        model = self.method.fit(work, targets, self.options, share, report)
        if model.farthest_mean() > MAX_MEAN:
            raise CannotCodeError("a group's values are far from zero and close to each other")
        return model

    def as_is(self, lam: float, *, prune: bool = True) -> Work:
        """The scene as effort fast codes it, or all of it."""
        scene = self.subject.scene
        rows = self.given.room.keep(np.arange(len(scene)))
        return self.work(scene, rows, lam, prune=prune)
