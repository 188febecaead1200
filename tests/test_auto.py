"""Method auto: which one it stands for, and that files say so."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

import gscodec
from anchors import make_anchor_scene, small_views
from gscodec import methods, rd
from gscodec.errors import UsageError
from gscodec.payload import Method
from quick import set_defaults
from scenes import make_scene

if TYPE_CHECKING:
    from gscodec.scene import GaussianScene


def _options(**fields: object) -> object:
    return methods.by_name(methods.AUTO).Options(**fields)


def _alike(count: int, degree: int, noise: float) -> GaussianScene:
    """Higher coefficients of which each is nearly the same multiple of one number."""
    scene = make_scene(count, degree)
    rng = np.random.default_rng(1)
    one, shape = rng.normal(size=(count, 1, 1)), rng.normal(size=scene.sh_rest.shape[1:])
    apart = noise * rng.normal(size=scene.sh_rest.shape)
    return replace(scene, sh_rest=(0.3 * (one * shape + apart)).astype(np.float32))


@pytest.mark.parametrize(
    ("count", "degree", "noise", "effort", "wanted"),
    [
        (3000, 3, 0.05, "fast", "predict-gs"),
        (3000, 1, 0.05, "fast", "predict-gs"),
        (3000, 0, 0.05, "fast", "hemgs"),
        (3000, 3, 20, "fast", "hemgs"),  # as if independent
        (30, 3, 0.05, "fast", "hemgs"),
        (3000, 3, 0.05, "instant", "hemgs"),
        (20_000, 1, 0.05, "fast", "predict-gs"),  # told by some of them
    ],
)
def test_gaussians(count: int, degree: int, noise: float, effort: str, wanted: str) -> None:
    """A basis is for higher coefficients that go together, where there are enough of them."""
    scene = _alike(count, degree, noise)
    assert methods.chosen(methods.AUTO, scene, _options(effort=effort)) == wanted
    assert methods.chosen("hac", scene, _options(effort=effort)) == "hac"


def test_values_that_are_not_finite_choose_nothing() -> None:
    """Who codes refuses them."""
    scene = _alike(3000, 1, 0.05)
    scene.sh_rest[7] = np.nan
    assert methods.chosen(methods.AUTO, scene, _options()) == "hemgs"


def test_files_say_what_was_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default is auto; a file has the method that made it."""
    set_defaults(monkeypatch, training=12, raw_below=0)
    for scene, wanted in (
        (make_anchor_scene(60), Method.PREDICT_GS),
        (make_scene(60, 1), Method.HEMGS),
    ):
        made = gscodec.encode(scene, views=small_views())
        assert gscodec.inspect(made).header.method is wanted


def test_curves_are_of_what_was_chosen() -> None:
    """In `rd`; a method that was asked for as well is measured once."""
    scene = make_scene(60, 1)
    jobs = rd.jobs([methods.AUTO, "hemgs"], [1e-3], {})
    assert {job.of(scene).name for job in jobs} == {"hemgs 1e-3"}


def test_unknown_methods() -> None:
    """The message names auto, too."""
    with pytest.raises(UsageError, match="expected one of auto, raw, hac"):
        gscodec.encode(make_scene(2, 0), "zip")
