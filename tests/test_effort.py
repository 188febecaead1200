"""Effort high: values that cost less and show the same; wanted sizes; interrupted runs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import gscodec
from gscodec.camera import Camera, TargetViews
from gscodec.errors import SceneError, UsageError
from gscodec.learned.rates import as_good, search
from gscodec.methods.hac import Options
from quick import PAIR, set_defaults
from scenes import gaussians, make_scene

pytest.importorskip("torch")
pytest.importorskip("numba")

if TYPE_CHECKING:
    from gscodec.scene import GaussianScene

EDGE = 48


def look_at(angle: float) -> Camera:
    """A camera on a circle of radius 6 around the origin."""
    c, s = np.cos(angle), np.sin(angle)
    view = np.eye(4)
    view[:3, :3] = [[c, 0, -s], [0, 1, 0], [s, 0, c]]
    view[:3, 3] = (0, 0, 6)
    return Camera(EDGE, EDGE, 45.0, 45.0, EDGE / 2, EDGE / 2, view)


VIEWS = TargetViews(tuple(look_at(a) for a in np.linspace(0, 6.28, 6, endpoint=False)))
BLACK = TargetViews(VIEWS.cameras, (np.zeros((EDGE, EDGE, 3), np.float16),) * 6)  # photographs


@pytest.fixture(autouse=True)
def quick_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models are trained for a moment only, and tiny scenes stay with hac."""
    set_defaults(monkeypatch, training=30, round_length=20, raw_below=0, keep_all=False)


@pytest.fixture(scope="module")
def scene() -> GaussianScene:
    """Five hundred visible Gaussians and a hundred that nobody can see."""
    base = make_scene(600, 1, seed=2)
    logits = base.opacity_logits.copy()
    logits[:100] = -12
    scales = base.log_scales + 2
    return replace(base, opacity_logits=logits, log_scales=scales)


def psnr(a: GaussianScene, b: GaussianScene) -> float:
    """Mean over `VIEWS`."""
    from gscodec.render import render
    from gscodec.render.quality import psnr as ratio

    return float(np.mean([ratio(render(a, c), render(b, c)) for c in VIEWS.cameras]))


@pytest.mark.parametrize("method", PAIR)
def test_high_is_smaller_or_better_and_prunes(scene: GaussianScene, method: str) -> None:
    """At one lambda both efforts look alike; they leave out what is not seen, and say so."""
    fast = gscodec.encode_with_report(scene, method, lam=1e-3, views=VIEWS)
    high = gscodec.encode_with_report(
        scene, method, lam=1e-3, views=VIEWS, effort="high", iterations=300
    )
    assert high.report["settings"]["effort"] == "high"  # type: ignore[index]
    for report in (fast.report, high.report):
        assert report["settings"]["lambda"] == 1e-3  # type: ignore[index]
    qualities: list[float] = [r.report["quality"]["mean_psnr"] for r in (fast, high)]  # type: ignore[index]
    assert abs(qualities[0] - qualities[1]) <= 0.8  # six small pictures jump
    for made in (fast, high):
        assert len(made.reconstruction) <= 500
        pruned = len(scene) - len(made.reconstruction)
        assert f"pruned {pruned} of {len(scene)} Gaussians" in made.notes
    # Bytes at equal quality, by about 4 % a decibel.
    gain = psnr(scene, gaussians(high.reconstruction))
    gain -= psnr(scene, gaussians(fast.reconstruction))
    assert len(high.data) * 0.96**gain < len(fast.data)


def test_photographs_are_the_target(scene: GaussianScene) -> None:
    """Black photographs darken the scene: the target is not the source any more."""
    from gscodec.render import render

    dark = gscodec.encode_with_report(
        scene, "hac", lam=1e-3, views=BLACK, effort="high", iterations=240
    )
    before = render(scene, VIEWS.cameras[0]).mean()
    after = render(dark.reconstruction, VIEWS.cameras[0]).mean()
    assert after < 0.8 * before


def test_an_interrupted_run_goes_on(scene: GaussianScene) -> None:
    """From its last state; the state of something else is refused."""
    states: list[bytes] = []

    def interrupt(state: bytes) -> None:
        states.append(state)
        raise KeyboardInterrupt

    options: dict[str, Any] = {"lam": 1e-4, "views": VIEWS, "effort": "high", "iterations": 60}
    with pytest.raises(KeyboardInterrupt):
        gscodec.encode(scene, "hac", **options, checkpoint=interrupt)
    resumed: list[bytes] = []
    data = gscodec.encode(scene, "hac", **options, resume=states[0], checkpoint=resumed.append)
    assert len(gscodec.decode(data)) < len(scene)
    whole: list[bytes] = []
    gscodec.encode(scene, "hac", **options, checkpoint=whole.append)
    assert len(resumed) < len(whole)
    with pytest.raises(SceneError, match="another scene, of other views or of other"):
        gscodec.encode(scene, "hac", **{**options, "lam": 2e-3}, resume=states[0])
    for damaged in (b"", b"nonsense", states[0][:200], states[0][:-30]):
        with pytest.raises(SceneError, match="resume"):
            gscodec.encode(scene, "hac", **options, resume=damaged)


def test_a_time_limit_ends_the_rounds(scene: GaussianScene) -> None:
    """Towards photographs: over at once, it leaves one step per round, and a valid file."""
    data = gscodec.encode(scene, "hac", lam=1e-3, views=BLACK, effort="high", time_limit=0.01)
    assert gscodec.inspect(data).meta["settings"]["effort"] == "high"  # type: ignore[index]


@pytest.mark.parametrize("method", PAIR)
def test_a_wanted_size_is_met(scene: GaussianScene, method: str) -> None:
    """Within 3 %; out of reach is refused with the range."""
    usual = len(gscodec.encode(scene, method, views=VIEWS))
    goal = round(0.95 * usual)
    data = gscodec.encode(scene, method, views=VIEWS, target_bytes=goal)
    assert abs(len(data) - goal) < 0.03 * goal
    with pytest.raises(UsageError, match="out of reach, this scene takes"):
        gscodec.encode(scene, method, views=VIEWS, target_bytes=500)


def test_a_wanted_psnr_is_met(scene: GaussianScene) -> None:
    """Within 0.1 dB."""
    coded = gscodec.encode_with_report(scene, "hac", views=VIEWS, target_psnr=38.0)
    assert psnr(scene, gaussians(coded.reconstruction)) == pytest.approx(38.0, abs=0.1)


@pytest.mark.parametrize("goal", [5.0, 33.3, 60.0])
def test_search_finds_the_crossing_of_any_falling_curve(goal: float) -> None:
    """With few trials, and whatever the slope."""
    calls = []

    def curve(lam: float) -> float:
        calls.append(lam)
        return float(70.0 - 8 * (np.log10(lam) + 6) ** 1.2)

    found = search(curve, 2e-3, None, goal)
    assert curve(found) == pytest.approx(goal, abs=0.1)
    assert len(calls) < 13


@pytest.mark.parametrize("slope", [-2.5, -4.0, -8.0])
def test_a_few_trials_reach_the_quality_of_fast(slope: float) -> None:
    """Within half a decibel, from three decibels away; against the clock, the first one counts."""

    def curve(lam: float) -> tuple[str, float]:
        return f"{lam:g}", 43.0 + slope * float(np.log(lam / 1e-3))

    name, found = as_good(curve, 2e-3, 43.0, 4)
    assert found == pytest.approx(43.0, abs=0.5)
    assert curve(float(name))[1] == pytest.approx(found, abs=0.01)
    assert as_good(curve, 2e-3, 43.0, 1) == curve(2e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"effort": "medium"}, "effort: found 'medium'"),
        ({"iterations": 5}, "iterations: only effort high has it"),
        ({"effort": "high", "iterations": 0}, "iterations: found 0"),
        ({"effort": "high", "time_limit": 0.0}, "time limit: found 0 s"),
        ({"time_limit": 5.0}, "time limit: only effort high has it"),
        ({"target_bytes": 5, "target_psnr": 40.0}, "choose one of them"),
        ({"target_bytes": 0}, "target size: found 0"),
        ({"target_psnr": float("nan")}, "target PSNR: found nan"),
    ],
)
def test_bad_options_are_refused(options: dict[str, object], message: str) -> None:
    """Before any work is done."""
    with pytest.raises(UsageError, match=message):
        Options(**options)


def test_effort_fast_has_no_state_to_go_on_from() -> None:
    """Told before the work, too."""
    with pytest.raises(UsageError, match="resume: only effort high has it"):
        gscodec.encode(make_scene(20), resume=b"")
