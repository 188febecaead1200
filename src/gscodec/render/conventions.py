"""How a scene is drawn: whatever renders, measures or optimises it asks here, once.

Rule: pictures that are compared share their near plane, so what one of them is made from
decides it: the source, or scene a.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gscodec.anchors import AnchorScene
from gscodec.render.splat import INRIA, Conventions
from gscodec.render.virtual_sample import LARGEST_LOG, breadth_of, core

if TYPE_CHECKING:
    from gscodec.scene import GaussianScene

# The first 3DGS code draws nothing nearer than 0.2, so what is smaller than a few of these was
# not trained by it. The near plane of such scenes is a share of their size: scaling one does not
# change its pictures. At most it is 0.01, which is gsplat's.
_SMALL = 0.5  # scene units
_SHARE = 0.02
_ENOUGH = 65_536  # Gaussians that the size is found from


def conventions_of(scene: GaussianScene | AnchorScene) -> Conventions:
    """Those of the first 3DGS code, with a near plane that small scenes are not cut off by."""
    size = _size(scene)
    near = _SHARE * size if size < _SMALL else INRIA.near_plane
    antialiased = not isinstance(scene, AnchorScene) and scene.antialiased
    return replace(INRIA, near_plane=near, antialiased=antialiased)


def _size(scene: GaussianScene | AnchorScene) -> float:
    """Of the core, where most opacity is: neither floaters nor backgrounds count. Scene units.

    Infinite if there is nothing.
    """
    some = slice(None, None, max(1, len(scene) // _ENOUGH))
    if isinstance(scene, AnchorScene):
        means, scales = scene.anchors[some], scene.log_scalings[some, 3:]
        opacities = np.ones(len(means))
    else:
        means, scales = scene.means[some], scene.log_scales[some]
        with np.errstate(over="ignore"):
            opacities = 1 / (1 + np.exp(-scene.opacity_logits[some].astype(np.float64)))
    logs = np.clip(scales.astype(np.float64), -LARGEST_LOG, LARGEST_LOG)
    finite = np.isfinite(means).all(axis=1) & np.isfinite(logs).all(axis=1)
    finite &= np.isfinite(opacities)
    if not finite.any():
        return np.inf
    return core(means[finite].astype(np.float64), opacities[finite], breadth_of(logs[finite]))[
        1
    ]
