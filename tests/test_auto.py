"""Method auto: which one it stands for, and that files say so."""

from __future__ import annotations

import pytest

import gscodec
from anchors import make_anchor_scene, small_views
from gscodec import methods, rd
from gscodec.errors import UsageError
from gscodec.payload import Method
from quick import set_defaults
from scenes import make_scene


def _options(**fields: object) -> object:
    return methods.by_name(methods.AUTO).Options(**fields)


@pytest.mark.parametrize(
    ("count", "degree", "effort", "wanted"),
    [
        (6000, 3, "fast", "predict-gs"),
        (6000, 1, "fast", "predict-gs"),
        (6000, 0, "fast", "hemgs"),
        (5999, 3, "fast", "hemgs"),
        (6000, 3, "instant", "hemgs"),
    ],
)
def test_gaussians(count: int, degree: int, effort: str, wanted: str) -> None:
    """A basis is for higher coefficients, where there are enough of them."""
    scene = make_scene(count, degree)
    assert methods.chosen(methods.AUTO, scene, _options(effort=effort)) == wanted
    assert methods.chosen("hac", scene, _options(effort=effort)) == "hac"


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
