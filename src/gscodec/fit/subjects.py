"""The subject of a scene, by its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gscodec.anchors import AnchorScene
from gscodec.errors import UsageError

if TYPE_CHECKING:
    from gscodec.fit.options import Options
    from gscodec.fit.subject import Subject
    from gscodec.kinds.aside import Aside


def subject_of(aside: Aside, options: Options) -> Subject:
    """What is coded of a scene.

    Raises:
        CannotCodeError: The integers cannot hold some value.
        UsageError: Anchors are measured through torch, which cannot work here, and not
            instantly.
    """
    if isinstance(aside.coded, AnchorScene):
        from gscodec.fit.anchor_subject import AnchorSubject
        from gscodec.fit.devices import problem_of

        if options.effort == "instant":
            raise UsageError("effort instant: for Gaussians only; anchors take effort fast")
        if problem := problem_of(options.device):
            raise UsageError(f"anchors: {problem}")

        return AnchorSubject(aside, options)
    from gscodec.fit.gaussian_subject import GaussianSubject

    return GaussianSubject(aside, options)
