"""How far one scene is from another: in pictures (`pictures`), and Gaussian by Gaussian.

Needs numba and scipy (extra ``render``). Rule to remember: pictures are measured, attributes
are estimated, because nothing in two files tells which Gaussian is which.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from gscodec.anchors import AnchorScene
from gscodec.comparison.anchor_errors import anchor_errors
from gscodec.comparison.attributes import attribute_errors
from gscodec.comparison.pictures import Pictures, Shown, compare_pictures
from gscodec.errors import SceneError, UsageError
from gscodec.report.compare_result import AttributeErrors, MatchedBy
from gscodec.scene import is_value

if TYPE_CHECKING:
    from gscodec.scene import GaussianScene

# In place of infinities, see `is_value`: float32 has no opacity nearer to 0 or 1, and nobody
# sees a thickness of 1e-13 units.
_OPAQUE, _FLAT = np.float32(30), np.float32(-30)

__all__ = [
    "Pictures",
    "Shown",
    "attribute_errors",
    "compare_pictures",
    "drawn_apart",
    "errors_between",
    "require_finite",
    "require_libraries",
]


def require_libraries(*more: str) -> None:
    """Refuses before any work is done.

    Raises:
        UsageError: numba, scipy or one of ``more`` is not installed.
    """
    for name in ("numba", "scipy", *more):
        if find_spec(name) is None:
            raise UsageError(f"compare needs {name}; pip install 'gscodec[render]'")


def errors_between(
    a: GaussianScene | AnchorScene, b: GaussianScene | AnchorScene
) -> AttributeErrors:
    """Measures ``b`` against ``a``, both of finite values; no errors if they differ in kind."""
    if isinstance(a, AnchorScene):
        if isinstance(b, AnchorScene):
            return anchor_errors(a, b)
    elif not isinstance(b, AnchorScene):
        return attribute_errors(_bounded(a), _bounded(b.relative_to(a.origin)))
    return AttributeErrors(0, len(a), len(b), (), MatchedBy.NOTHING)


def drawn_apart(
    a: GaussianScene | AnchorScene, b: GaussianScene | AnchorScene
) -> tuple[str, ...]:
    """A note where only one of two scenes is antialiased: each is drawn as it says."""
    antialiased = [
        name
        for name, scene in (("a", a), ("b", b))
        if not isinstance(scene, AnchorScene) and scene.antialiased
    ]
    if len(antialiased) != 1:
        return ()
    return (f"only {antialiased[0]} is drawn antialiased, as its file says",)


def _bounded(scene: GaussianScene) -> GaussianScene:
    """The scene with numbers in place of the infinities that are values."""
    opacities, scales = scene.opacity_logits, scene.log_scales
    return replace(
        scene,
        opacity_logits=np.where(np.isinf(opacities), np.sign(opacities) * _OPAQUE, opacities),
        log_scales=np.where(np.isinf(scales), _FLAT, scales),
    )


def require_finite(scene: GaussianScene | AnchorScene, name: str) -> None:
    """Refuses what has neither pictures nor errors: all but `is_value`.

    Raises:
        SceneError: A value is NaN or infinite; with the first Gaussian or anchor that has one.
    """
    what = "Gaussian"
    if isinstance(scene, AnchorScene):
        what = "anchor"
        if not all(np.isfinite(array).all() for array in scene.networks.arrays()):
            raise SceneError(f"{name}: a weight of the networks is not finite")
    for attribute, values in scene.attributes().items():
        bad = ~is_value(attribute, values).all(axis=tuple(range(1, values.ndim)))
        if bad.any():
            raise SceneError(
                f"{name}: {attribute} of {what} {int(bad.argmax())} is not finite "
                f"({int(bad.sum())} of {len(scene)} {what}s)"
            )
