"""Small encodes whose bytes must not change: `test_frozen` compares them with frozen.json.

Bytes of an encoder that trains depend on the machine and on the versions of the libraries, so
they are kept by environment. `python tests/frozen.py` adds those that this one lacks.
"""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import gscodec
from anchors import make_anchor_scene, small_views
from gscodec.camera import TargetViews
from gscodec.scene import ExtraProperty
from scenes import make_scene

if TYPE_CHECKING:
    from collections.abc import Callable

    from gscodec.anchors import AnchorScene
    from gscodec.scene import GaussianScene

FILE = Path(__file__).parent / "frozen.json"
QUICK: dict[str, Any] = {"training": 24, "round_length": 8, "raw_below": 0, "keep_all": True}
_LIBRARIES = ("numpy", "torch", "numba")


def environment() -> str:
    """What the bytes depend on."""
    models = Path("/proc/cpuinfo")
    lines = models.read_text().splitlines() if models.exists() else []
    cpu = next((line.split(":")[1].strip() for line in lines if "model name" in line), "")
    libraries = (f"{name} {version(name)}" for name in _LIBRARIES)
    return ", ".join([platform.machine(), cpu or platform.processor(), *libraries])


def visible(count: int, degree: int, seed: int = 0) -> GaussianScene:
    """Large Gaussians, a few of which nobody can see."""
    scene = make_scene(count, degree, seed)
    logits = scene.opacity_logits.copy()
    logits[: count // 8] = -12
    return replace(scene, log_scales=scene.log_scales + 2, opacity_logits=logits)


def encoded(scene: GaussianScene | AnchorScene, **options: Any) -> bytes:
    """By method hac, after little training."""
    chosen: dict[str, Any] = {"views": small_views(), "lam": 1e-3, **QUICK, **options}
    return gscodec.encode(scene, "hac", **chosen)


def resumed(scene: GaussianScene) -> bytes:
    """As after an interruption in the middle; to photographs, or it may be the file of fast."""
    states: list[bytes] = []
    high = {"effort": "high", "iterations": 45, "keep_all": False, "views": _photographs()}
    encoded(scene, **high, checkpoint=states.append)
    return encoded(scene, **high, resume=states[len(states) // 2])


def _extras(scene: GaussianScene) -> GaussianScene:
    label = ExtraProperty("label", np.arange(len(scene), dtype=np.uint8))
    return replace(scene, extras=(label,))


def _photographs() -> TargetViews:
    cameras = small_views().cameras
    grey = (np.full((c.height, c.width, 3), 0.25, np.float16) for c in cameras)
    return TargetViews(cameras, tuple(grey))


def _unlike() -> GaussianScene:
    """With what is far, infinite, or clamped."""
    scene = visible(300, 1)
    means, logits, scales = scene.means.copy(), scene.opacity_logits.copy(), scene.log_scales
    means[7], logits[9], logits[11] = 1e7, np.inf, 40
    return replace(scene, means=means, opacity_logits=logits, log_scales=scales)


_HIGH: dict[str, Any] = {"effort": "high", "iterations": 24, "keep_all": False}
CASES: dict[str, Callable[[], bytes]] = {
    "sh 0": lambda: encoded(visible(300, 0)),
    "pruned": lambda: encoded(visible(300, 1), keep_all=False),
    "sh 1, another seed": lambda: encoded(visible(300, 1, 1), seed=5),
    "sh 3, extras, antialiased": lambda: encoded(
        replace(_extras(make_scene(200, 3)), antialiased=True), lam=1e-2
    ),
    "grid, blocks": lambda: encoded(visible(5100, 1), block_size=2000, training=24),
    "depth, coarse": lambda: encoded(visible(300, 2), lam=0.1, position_bits=9),
    "unlike others": lambda: encoded(_unlike()),
    "target size": lambda: encoded(visible(300, 1), target_bytes=6200),
    "target psnr": lambda: encoded(visible(300, 1), target_psnr=32.8),
    "high": lambda: encoded(visible(300, 1), **_HIGH),
    "high, blocks, sh 3": lambda: encoded(visible(150, 3), **_HIGH, block_size=60, seed=2),
    "high, photographs": lambda: encoded(visible(200, 0), **_HIGH, views=_photographs()),
    "high, target size": lambda: encoded(visible(450, 1), **_HIGH, target_bytes=8800),
    "resumed": lambda: resumed(visible(300, 1)),
    "anchors": lambda: encoded(make_anchor_scene(150)),
    "anchors, chunks, masks, blocks": lambda: encoded(
        make_anchor_scene(200, 24, 4, masked=True, seed=3), block_size=64, seed=1, lam=1e-2
    ),
    "anchors, bank, appearance": lambda: encoded(
        make_anchor_scene(100, 8, 3, bank=True, appearance=2, distance=True), position_bits=12
    ),
    "anchors, high": lambda: encoded(make_anchor_scene(150), **_HIGH),
    "anchors, high, masks, blocks": lambda: encoded(
        make_anchor_scene(200, 12, 4, masked=True), **_HIGH, block_size=64, seed=1, lam=1e-2
    ),
}


def digest(case: str) -> str:
    """SHA-256 of what it encodes to."""
    return hashlib.sha256(CASES[case]()).hexdigest()


if __name__ == "__main__":
    known = json.loads(FILE.read_text()) if FILE.exists() else {}
    own = known.setdefault(environment(), {})
    own |= {case: digest(case) for case in CASES if case not in own}
    FILE.write_text(json.dumps(known, indent=1) + "\n")
