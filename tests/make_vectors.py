"""Writes test vectors that do not exist yet: files, and what they must decode to.

    python tests/make_vectors.py

A vector is a promise: it is added once and never changed. An existing one is left alone, and
`test_vectors.py` fails when a file and its record in vectors/index.json disagree.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import gscodec
from anchors import make_anchor_scene, small_views
from gscodec.anchors import Storage
from gscodec.fit import pool
from gscodec.learned import positions
from gscodec.scene import GaussianScene
from gscodec.sceneio import read_ply
from quick import few_latents
from scenes import hard_scenes, make_scene

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gscodec.anchors import AnchorScene, Scene

HERE = Path(__file__).resolve().parent / "vectors"
INDEX = HERE / "index.json"
EXAMPLE = HERE.parents[1] / "examples" / "mic-small" / "scene.ply"


def _example(count: int, degree: int) -> GaussianScene:
    """Every so many Gaussians of the bundled scene, its colours cut to ``degree``."""
    scene = read_ply(EXAMPLE.read_bytes()).scene
    part = scene.take(np.linspace(0, len(scene) - 1, count).astype(np.int64))
    return replace(part, sh_rest=part.sh_rest[:, : (degree + 1) ** 2 - 1].copy())


def _zeros(count: int) -> GaussianScene:
    """So little information that the file must be padded."""
    empty = hard_scenes()["empty"]
    shapes = {name: (count, *array.shape[1:]) for name, array in empty.attributes().items()}
    arrays = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    return GaussianScene(**arrays, extras=(), has_normals=False, antialiased=False, origin=None)


def _anchors(**kind: Any) -> Callable[[], AnchorScene]:
    """A scene of that ``kind``; see `make_anchor_scene`."""
    return lambda: make_anchor_scene(**kind)


def _with_outliers() -> GaussianScene:
    """Far, huge and bright Gaussians among others."""
    scene = make_scene(400, 1, 3)
    means, scales, dc = scene.means.copy(), scene.log_scales.copy(), scene.sh_dc.copy()
    means[5:8], scales[30, 1], dc[77, 2] = 1e6, 20, 1e12
    return replace(scene, means=means, log_scales=scales, sh_dc=dc)


def _with_far_anchors() -> AnchorScene:
    """Two anchors far from the others."""
    scene = make_anchor_scene(300, masked=True)
    positions = scene.anchors.copy()
    positions[7:9] = -1e7
    return replace(scene, anchors=positions)


def _latent(scene: Scene, width: int, seed: int) -> NDArray[np.float32]:
    """(N, width) values that two numbers of each primitive and its place decide, about."""
    rng = np.random.default_rng(seed)
    places = next(iter(scene.attributes().values())).astype(np.float64)
    places = (places - places.mean(axis=0)) / places.std(axis=0)
    smooth = np.sin(0.5 * places @ rng.normal(size=(3, 3)))
    mixture = np.concatenate([smooth, rng.laplace(size=(len(scene), 2))], axis=1)
    noise = 0.02 * rng.normal(size=(len(scene), width))
    return (mixture @ rng.normal(size=(5, width)) + noise).astype(np.float32)


def _mixed_gaussians() -> GaussianScene:
    """Higher coefficients that depend on each other, and outliers."""
    scene = _with_outliers()
    rest = 0.3 * _latent(scene, scene.sh_rest[0].size, 5)
    return replace(scene, sh_rest=rest.reshape(scene.sh_rest.shape))


def _mixed_anchors(**kind: Any) -> Callable[[], AnchorScene]:
    """Features that depend on each other and on their place."""

    def make() -> AnchorScene:
        scene = make_anchor_scene(**kind)
        return replace(scene, features=_latent(scene, scene.feature_width, 6))

    return make


_VIEWS: dict[str, Any] = {"views": small_views()}
_QUICK: dict[str, Any] = {"training": 40, "raw_below": 0}
# Name -> (method, options, scene). Names say what is special.
CASES: dict[str, tuple[str, dict[str, Any], Callable[[], Scene]]] = {
    "raw/empty": ("raw", {}, lambda: hard_scenes()["empty"]),
    "raw/sh3_normals": ("raw", {}, lambda: make_scene(50, 3, 1)),
    "raw/two_blocks_padded": ("raw", {}, lambda: _zeros(70_000)),
    "raw/antialiased_with_origin": (
        "raw",
        {},
        lambda: replace(make_scene(30, 0), antialiased=True, origin=(447_000.25, -5e6, 0.125)),
    ),
    "hac/mic_6000_sh3": ("hac", {}, lambda: _example(6000, 3)),
    "hac/mic_6000_sh1_coarse": ("hac", {"lam": 8e-3}, lambda: _example(6000, 1)),
    "hac/mic_6000_sh0_fine": ("hac", {"lam": 1e-5}, lambda: _example(6000, 0)),
    "hac/mic_6000_sh2_depth_6": ("hac", {"position_bits": 6}, lambda: _example(6000, 2)),
    "raw/anchors": ("raw", {}, _anchors(n=40, distance=True)),
    "raw/anchors_empty_masked": ("raw", {}, _anchors(n=0, masked=True, storage=Storage.HAC)),
    "raw/anchors_masked_bank_appearance": (
        "raw",
        {},
        _anchors(n=40, masked=True, bank=True, appearance=4, storage=Storage.UNITED),
    ),
    "hac/anchors": ("hac", _VIEWS, _anchors(n=1500)),
    "hac/anchors_masked_three_chunks_distance": (
        "hac",
        _VIEWS,
        _anchors(
            n=800, features=23, offsets=5, masked=True, distance=True, storage=Storage.HAC
        ),
    ),
    "hac/anchors_bank_appearance_coarse": (
        "hac",
        {"lam": 8e-3, "position_bits": 9, **_VIEWS},
        _anchors(n=800, bank=True, appearance=4, storage=Storage.STATE_DICTS),
    ),
    "hac/outliers": ("hac", _VIEWS, _with_outliers),
    "hac/anchors_outliers": ("hac", _VIEWS, _with_far_anchors),
    "hac/anchors_one": ("hac", _VIEWS, _anchors(n=1)),
    "hemgs/mic_700_sh3": ("hemgs", _VIEWS | _QUICK, lambda: _example(700, 3)),
    "hemgs/mic_700_sh0_coarse": ("hemgs", {"lam": 8e-3} | _QUICK, lambda: _example(700, 0)),
    "hemgs/duplicates_depth_4": (
        "hemgs",
        {"position_bits": 4} | _VIEWS | _QUICK,
        lambda: make_scene(300, 1, 4).take(np.arange(600) // 2),
    ),
    "hemgs/three_blocks_outliers": (
        "hemgs",
        {"block_size": 150} | _VIEWS | _QUICK,
        _with_outliers,
    ),
    "hemgs/displaced_two_blocks_sh1": (
        "hemgs",
        {"block_size": 800} | _VIEWS | _QUICK,
        lambda: _example(1300, 1),
    ),
    "hac/displaced_sh0": ("hac", _VIEWS | _QUICK, lambda: _example(1100, 0)),
    "hemgs/two_parts_of_positions": (
        "hemgs",
        {"block_size": 300, "keep_all": True} | _VIEWS | _QUICK,
        lambda: _example(1300, 1),
    ),
    "hemgs/anchors_three_parts_of_positions": (
        "hemgs",
        {"block_size": 60} | _VIEWS | _QUICK,
        _anchors(n=300, features=7, offsets=3, storage=Storage.HAC),
    ),
    "hemgs/two": ("hemgs", _VIEWS | _QUICK, lambda: make_scene(2, 2)),
    "hemgs/prior_mic_2000_sh3": ("hemgs", _VIEWS | _QUICK, lambda: _example(2000, 3)),
    "hemgs/prior_mic_2000_sh1_coarse": (
        "hemgs",
        {"lam": 8e-3} | _VIEWS | _QUICK,
        lambda: _example(2000, 1),
    ),
    "hemgs/anchors_masked_three_blocks": (
        "hemgs",
        {"block_size": 130} | _VIEWS | _QUICK,
        _anchors(n=300, features=23, offsets=5, masked=True, storage=Storage.HAC),
    ),
    "hemgs/anchors_bank_appearance_coarse": (
        "hemgs",
        {"lam": 8e-3, "position_bits": 9} | _VIEWS | _QUICK,
        _anchors(n=300, offsets=11, bank=True, appearance=4, storage=Storage.STATE_DICTS),
    ),
    "hemgs/anchors_one": ("hemgs", _VIEWS | _QUICK, _anchors(n=1)),
    "ralhe/mic_6000_sh1_coarse": (
        "ralhe",
        {"lam": 8e-3, "block_size": 4000} | _QUICK,
        lambda: _example(6000, 1),
    ),
    "ralhe/mic_700_no_latents": ("ralhe", _VIEWS | _QUICK, lambda: _example(700, 2)),
    "ralhe/anchors_masked_four_levels_two_blocks": (
        "ralhe",
        {"block_size": 200} | _VIEWS | _QUICK,
        _anchors(n=300, features=13, offsets=2, masked=True, storage=Storage.HAC),
    ),
    "ralhe/duplicates_depth_4": (
        "ralhe",
        {"position_bits": 4} | _VIEWS | _QUICK,
        lambda: make_scene(300, 1, 4).take(np.arange(600) // 2),
    ),
    "ralhe/anchors_one": ("ralhe", _VIEWS | _QUICK, _anchors(n=1)),
    "predict-gs/mic_700_sh0": ("predict-gs", _VIEWS | _QUICK, lambda: _example(700, 0)),
    "predict-gs/basis_three_blocks_outliers": (
        "predict-gs",
        {"block_size": 150} | _VIEWS | _QUICK,
        _mixed_gaussians,
    ),
    "predict-gs/anchors_basis": (
        "predict-gs",
        _VIEWS | _QUICK,
        _mixed_anchors(n=400, features=23, offsets=3, masked=True, storage=Storage.HAC),
    ),
    "predict-gs/anchors_basis_pool": (
        "predict-gs",
        {"block_size": 2000, "training": 200, "raw_below": 0, "lam": 1e-5} | _VIEWS,
        _mixed_anchors(n=3000, features=6, offsets=1),
    ),
    "predict-gs/anchors_one": ("predict-gs", _VIEWS | _QUICK, _anchors(n=1)),
}
# Those that are too small for latents to pay have some all the same.
_FEW_LATENTS = {"ralhe/anchors_masked_four_levels_two_blocks", "ralhe/duplicates_depth_4"}
# Several parts of positions, though there are few of them.
_SHORT_PARTS = {
    "hemgs/two_parts_of_positions": 900,
    "hemgs/anchors_three_parts_of_positions": 120,
}
# A pool is kept if it pays without neighbours, who know more.
_EAGER_POOL = {"predict-gs/anchors_basis_pool"}


def _conventions(scene: Scene) -> dict[str, object]:
    """What of them is not the default."""
    if not isinstance(scene, GaussianScene) or scene.origin is None:
        return {}
    return {"antialiased": scene.antialiased, "origin": scene.origin}


def main() -> None:
    """Writes what is missing."""
    index = json.loads(INDEX.read_text()) if INDEX.exists() else {}
    for name, (method, options, make) in CASES.items():
        path = HERE / f"{name}.gsz"
        if path.exists() or name in index:
            print(f"{name}: exists, left alone")
            continue
        with pytest.MonkeyPatch.context() as patch:
            if name in _FEW_LATENTS:
                few_latents(patch)
            if name in _SHORT_PARTS:
                patch.setattr(positions, "PART", _SHORT_PARTS[name])
            if name in _EAGER_POOL:
                patch.setattr(pool, "SHARE", 1.0)
            encoded = gscodec.encode_with_report(make(), method, **options)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded.data)
        scene = encoded.reconstruction
        index[name] = {
            "count": len(scene),
            "scene_sha256": scene.digest().hex(),
            **_conventions(scene),
        }
        print(f"{name}: {len(encoded.data)} bytes")
    INDEX.write_text(json.dumps(index, indent=1) + "\n")


if __name__ == "__main__":
    main()
