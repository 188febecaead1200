"""A training that goes on from a model of the same scene: `fit.hemgs.Again`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from anchors import small_views
from gscodec import methods, rd
from gscodec.fit import hemgs as training
from quick import set_defaults
from scenes import make_scene, silent

if TYPE_CHECKING:
    from gscodec.method import Coded
    from gscodec.scene import GaussianScene

SCENE = make_scene(200, 1)


@pytest.fixture(autouse=True)
def own_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks of small scenes are learned without a prior, too."""
    for name in ("_SMALL_SIZE", "_WARM_STEPS"):
        monkeypatch.setattr(training, name, 0)
    set_defaults(monkeypatch, training=16, raw_below=0)


def encode(name: str, scene: GaussianScene, lam: float, start: object = None) -> Coded:
    module = methods.by_name(name)
    given = module.Given(start=start)
    coded: Coded = module.encode(scene, module.Options(lam=lam), silent, given)
    return coded


@pytest.mark.parametrize("name", ["hemgs", "predict-gs"])
def test_it_starts_where_the_other_ended(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """At the same lambda, and without a step, the file is the same."""
    first = encode(name, SCENE, 1e-3)
    monkeypatch.setattr(training, "_AGAIN_RATE", 0.0)
    again = encode(name, SCENE, 1e-3, first.model)
    assert again.payload.streams == first.payload.streams
    moved = encode(name, SCENE, 4e-3, first.model)
    assert sum(len(s.data) for s in moved.payload.streams) < sum(
        len(s.data) for s in first.payload.streams
    )


@pytest.mark.parametrize("start", [None, "no model", 7])
def test_a_model_of_something_else_is_no_start(start: object) -> None:
    """Of other units, or of another method: all is learned."""
    other = encode("hemgs", make_scene(200, 0), 1e-3).model
    wanted = encode("hemgs", SCENE, 1e-3)
    for given in (start, other):
        assert encode("hemgs", SCENE, 1e-3, given).payload.streams == wanted.payload.streams


def test_a_curve_is_learned_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of its points only the first is learned in full; a wanted size is learned again shortly."""
    steps: list[int] = []
    train = training.Training.train

    def counted(self: training.Training, number: int, *args: object) -> None:
        steps.append(number)
        train(self, number, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(training.Training, "train", counted)
    jobs = rd.jobs(["hemgs"], [1e-3, 2e-3, 4e-3], {})
    rd.measure(SCENE, jobs, small_views().cameras, spz=False, progress=silent)
    assert steps[0] > 2 * steps[1] > 0
    assert len(steps) == 3
