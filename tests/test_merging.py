"""`--merge-voxels`: Gaussians that share a voxel become one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest

import gscodec
from anchors import make_anchor_scene, small_views
from gscodec.errors import UsageError
from gscodec.kinds.merging import merged
from gscodec.notes import Note
from gscodec.scene import ExtraProperty, GaussianScene
from scenes import make_scene

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def covariances(scene: GaussianScene) -> Floats:
    """(N, 3, 3), by the formula for the rotation of a quaternion."""
    w, x, y, z = (scene.quats / np.linalg.norm(scene.quats, axis=1, keepdims=True)).T
    turn = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    scaled = np.moveaxis(turn, -1, 0).astype(np.float64) * np.exp(scene.log_scales)[:, None]
    found: Floats = scaled @ np.swapaxes(scaled, 1, 2)
    return found


def opacities(scene: GaussianScene) -> Floats:
    """(N,) after the sigmoid."""
    found: Floats = 1 / (1 + np.exp(-scene.opacity_logits.astype(np.float64)))
    return found


def area(covariance: Floats) -> float:
    """Root mean square over directions of what an ellipsoid shows, over pi, times a constant."""
    return float(np.sqrt(covariance.trace() ** 2 - (covariance @ covariance).trace()))


def crowded(count: int = 24) -> GaussianScene:
    """Two and three Gaussians in some voxels of depth 5; corners keep the lattice where it is."""
    rng = np.random.default_rng(2)
    scene = make_scene(count, 2, seed=2)
    cells = np.array([[0, 0, 0], [31, 31, 31], [3, 4, 5], [9, 9, 2], [20, 1, 30], [6, 6, 6]])
    index = np.concatenate([np.arange(6), [2, 3, 3], np.repeat(5, count - 9)])
    means = cells[index] + rng.uniform(-0.3, 0.3, (count, 3)) * (index > 1)[:, None]
    return replace(
        scene,
        means=means.astype(np.float32),
        log_scales=rng.uniform(-3, 0, (count, 3)).astype(np.float32),
        extras=(ExtraProperty("row", np.arange(count)),),
    )


def test_moments_are_those_of_the_mixture() -> None:
    """By loops over the Gaussians of each voxel."""
    scene = crowded()
    before = scene.digest()
    found, kept = merged(scene, 5)
    assert len(found) == len(kept) == 6
    assert scene.digest() == before
    spreads, shown = covariances(scene), opacities(scene)
    for row, spread, opacity in zip(
        range(6), covariances(found), opacities(found), strict=True
    ):
        same = np.rint(scene.means) == np.rint(scene.means[kept[row]])
        rows = np.flatnonzero(same.all(axis=1))
        cover = np.array([shown[i] * area(spreads[i]) for i in rows])
        assert kept[row] == rows[cover.argmax()]
        share = cover / cover.sum()
        middle = share @ scene.means[rows]
        away = scene.means[rows] - middle
        wanted = np.einsum("n,nij->ij", share, spreads[rows])
        wanted += np.einsum("n,ni,nj->ij", share, away, away)
        np.testing.assert_allclose(found.means[row], middle, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(spread, wanted, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(found.sh_dc[row], share @ scene.sh_dc[rows], atol=1e-5)
        rest = np.einsum("n,nij->ij", share, scene.sh_rest[rows])
        np.testing.assert_allclose(found.sh_rest[row], rest, atol=1e-5)
        behind = 1 - np.prod(1 - shown[rows])
        assert opacity == pytest.approx(min(cover.sum() / area(wanted), behind), rel=1e-4)
    assert found.extras[0].values.tolist() == kept.tolist()


def test_nothing_is_merged_where_each_has_its_voxel() -> None:
    """Then it is the same scene."""
    scene = crowded().take(np.arange(6))
    found, kept = merged(scene, 5)
    assert found is scene
    assert kept.tolist() == list(range(6))


def test_values_at_the_ends_stay_values() -> None:
    """Transparent, opaque, flat and unrotated ones."""
    scene = crowded()
    logits, scales, quats = (
        array.copy() for array in (scene.opacity_logits, scene.log_scales, scene.quats)
    )
    logits[[2, 6]], logits[3], logits[7] = -np.inf, np.inf, 40
    scales[9:14], quats[9:] = -np.inf, 0
    hard = replace(scene, opacity_logits=logits, log_scales=scales, quats=quats)
    found, _ = merged(hard, 5)
    for array in found.attributes().values():
        assert np.isfinite(array[2:]).all()
    assert found.opacity_logits[3] > 0


@pytest.mark.parametrize("method", ["ralhe", "predict-gs"])
def test_encodes_merge_if_asked(method: str) -> None:
    """And say so, are judged by all of the scene, and tell what stands for what."""
    pytest.importorskip("torch")
    from gscodec.render import render
    from gscodec.render.quality import psnr

    scene = make_scene(400, 0)
    options: dict[str, Any] = {
        "training": 8,
        "raw_below": 0,
        "keep_all": True,
        "position_bits": 3,
        "lam": 1e-5,
    }
    views = small_views()
    made = gscodec.encode_with_report(scene, method, merge_voxels=True, views=views, **options)
    plain = gscodec.encode_with_report(scene, method, views=views, **options)
    wanted, kept = merged(scene, 3)
    assert len(made.reconstruction) == len(wanted) < len(plain.reconstruction) == 400
    assert sorted(made.order.tolist()) == kept.tolist()
    (note,) = (n for n in made.notes if isinstance(n, Note) and n.code == "merged")
    assert (
        note
        == f"merged {400 - len(kept)} of 400 Gaussians with others in their voxel of an octree of depth 3"
    )
    assert not any("share a lattice cell" in line for line in made.notes)
    assert any("share a lattice cell" in line for line in plain.notes)
    quality = cast("dict[str, float]", made.report["quality"])
    pairs = ((render(scene, c), render(made.reconstruction, c)) for c in views.cameras)
    wanted_psnr = np.mean([psnr(np.clip(a, 0, 1), np.clip(b, 0, 1)) for a, b in pairs])
    assert quality["mean_psnr"] == pytest.approx(wanted_psnr, abs=0.01)


def test_the_depth_follows_lambda_where_none_is_given() -> None:
    """As positions do."""
    from gscodec.fit.gaussians import voxel_bits
    from gscodec.fit.options import Options

    scene = make_scene(300, 0)
    depths = [voxel_bits(scene, Options(lam=lam)) for lam in (1e-2, 1e-4)]
    assert depths[0] < depths[1] <= 21
    assert voxel_bits(scene, Options(position_bits=4)) == 4


def test_anchors_are_not_merged() -> None:
    pytest.importorskip("torch")
    with pytest.raises(UsageError, match="merge voxels: for Gaussians only"):
        gscodec.encode(make_anchor_scene(10), "ralhe", merge_voxels=True)
