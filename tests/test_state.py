"""The state of an interrupted effort high: the same bytes in the end, and nothing foreign."""

from __future__ import annotations

import hashlib
import struct
import tracemalloc
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import gscodec
from anchors import small_views
from gscodec.camera import TargetViews
from gscodec.errors import SceneError
from gscodec.methods.hac import METHOD, Given, Options
from quick import PAIR, set_defaults
from scenes import make_scene, silent

torch = pytest.importorskip("torch")
pytest.importorskip("numba")

if TYPE_CHECKING:
    from collections.abc import Callable

    from gscodec.learned.run import Run
    from gscodec.learned.state import State

SCENE = replace(make_scene(150, 1), log_scales=make_scene(150, 1).log_scales + 2)
ITERATIONS = 30


@pytest.fixture(autouse=True)
def quick_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models are trained for a moment only, rounds are short, tiny scenes stay with hac."""
    set_defaults(monkeypatch, training=10, round_length=5, raw_below=0)


def photographed() -> TargetViews:
    """Cameras with grey photographs."""
    cameras = small_views().cameras
    grey = tuple(np.full((c.height, c.width, 3), 0.5, np.float16) for c in cameras)
    return TargetViews(cameras, grey)


def options(**changed: Any) -> dict[str, Any]:
    """Of effort high."""
    usual = {"lam": 1e-3, "views": photographed(), "effort": "high", "iterations": ITERATIONS}
    return {**usual, **changed}


def fits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Grows by the share of iterations of every model that is trained from now on."""
    from gscodec.learned.run import Run

    trained, fit = [], Run.fit

    def counted(self: Any, work: Any, lam: float, share: float = 1.0) -> Any:
        trained.append(share)
        return fit(self, work, lam, share)

    monkeypatch.setattr(Run, "fit", counted)
    return trained


@pytest.mark.parametrize("method", PAIR)
def test_a_resumed_run_ends_with_the_same_bytes(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From whatever state; what was trained is not trained again."""
    states: list[bytes] = []
    trained = fits(monkeypatch)
    whole = gscodec.encode(SCENE, method, **options(), checkpoint=states.append)
    rounds = trained[:-1]
    assert len(rounds) >= 2
    assert trained[-1] == 1.0
    assert len(states) == 2 * len(rounds) + 1
    for number, left in ((0, len(trained) - 1), (1, len(trained) - 1), (len(states) - 1, 0)):
        trained.clear()
        later: list[bytes] = []
        data = gscodec.encode(
            SCENE, method, **options(), resume=states[number], checkpoint=later.append
        )
        assert data == whole
        assert len(trained) == left
        assert len(later) == len(states) - 1 - number


def test_time_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was spent before an interruption, against the limit, and in no share besides."""
    from gscodec.learned import high

    now = 1000.0
    monkeypatch.setattr("gscodec.learned.high.time.monotonic", lambda: now)
    clock = high.Clock(Options(effort="high", time_limit=100.0), 0.5, spent=20.0)
    assert clock.share(0) == pytest.approx(0.4)
    now = 1010.0
    assert clock.spent() == pytest.approx(30.0)
    assert clock.share(0) == pytest.approx(0.6)


# --- what a state belongs to --------------------------------------------------------------


def run_of(scene: Any = SCENE, **changed: Any) -> Run:
    """With other options."""
    from gscodec.kinds.aside import Aside
    from gscodec.learned.run import Run

    chosen = options(**changed)
    given = Given(views=chosen.pop("views"))
    return Run.of(METHOD, Aside(scene, "Gaussians"), Options(**chosen), given, silent)


def key(scene: Any = SCENE, **changed: Any) -> bytes:
    """Of a run with other options."""
    from gscodec.learned.state import key_of

    run = run_of(scene, **changed)
    return key_of(run, run.options.lam)


def moved(views: TargetViews) -> TargetViews:
    """One camera stands elsewhere."""
    first, *others = views.cameras
    matrix = first.world_to_camera.copy()
    matrix[0, 3] += 1e-6
    return replace(views, cameras=(replace(first, world_to_camera=matrix), *others))


def retouched(views: TargetViews) -> TargetViews:
    """One pixel of a photograph is another."""
    assert views.photographs is not None
    first, *others = views.photographs
    changed = first.copy()
    changed[3, 4, 1] = 0.25
    return replace(views, photographs=(changed, *others))


def test_all_that_decides_the_result_is_in_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    views = photographed()
    first = views.cameras[0]
    dc = SCENE.sh_dc.copy()
    dc[7, 1] += 1
    keys = [
        key(),
        key(replace(SCENE, sh_dc=dc)),
        key(replace(SCENE, antialiased=True)),
        key(lam=2e-3),
        key(iterations=31),
        key(time_limit=1e6),
        key(seed=1),
        key(position_bits=9),
        key(block_size=100),
        key(training=11),
        key(round_length=6),
        key(views=moved(views)),
        key(views=retouched(views)),
        key(views=replace(views, photographs=None)),
        key(views=replace(views, cameras=(replace(first, fx=37.0), *views.cameras[1:]))),
    ]
    monkeypatch.setattr("gscodec.learned.state.__version__", "0.0.0")
    keys.append(key())
    assert len(set(keys)) == len(keys)
    monkeypatch.undo()
    assert key(threads=1) == keys[0]  # it only changes how long all of it takes


def test_the_state_of_another_run_is_refused() -> None:
    state = a_state().save(key(), run_of())
    with pytest.raises(SceneError, match="another scene, of other views or of other settings"):
        gscodec.encode(SCENE, "hac", **options(iterations=31), resume=state)


# --- damage -------------------------------------------------------------------------------

KEY = bytes(range(32))
_BODY = 16 + 32 + 32
_NUMBERS = struct.Struct("<QQddQQ")


def a_state() -> State:
    """Of SCENE, without the first ten Gaussians."""
    from gscodec.learned.state import State

    index = np.arange(10, 150)
    return State(SCENE.take(index), index, 20, 0.25, 3.5)


@cache
def run() -> Run:
    """Whose states are looked at."""
    return run_of()


def load(data: bytes) -> State:
    """As of SCENE."""
    from gscodec.learned.state import State

    return State.load(data, KEY, run())


def sealed(body: bytes) -> bytes:
    """With a hash that is right, as only an attacker would make it."""
    return a_state().save(KEY, run())[:48] + hashlib.sha256(body).digest() + body


def test_a_state_comes_back() -> None:
    state = a_state()
    found = load(state.save(KEY, run()))
    assert found.scene.digest() == state.scene.digest()
    assert np.array_equal(found.index, state.index)
    assert (found.done, found.share, found.seconds, found.model) == (20, 0.25, 3.5, None)


DAMAGE: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda data: data[:0], "no state of an optimisation"),
    "another kind of file": (lambda data: b"PK\x03\x04" + data, "no state of an optimisation"),
    "a beginning": (lambda data: data[:100], "no state of an optimisation"),
    "another key": (lambda data: data[:20] + b"?" + data[21:], "of another scene"),
    "another hash": (lambda data: data[:60] + b"?" + data[61:], "damaged; start anew"),
    "cut": (lambda data: data[:-1], "damaged; start anew"),
    "a changed value": (lambda data: data[:400] + b"?" + data[401:], "damaged; start anew"),
    "something after it": (lambda data: data + b"?", "damaged; start anew"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_told(kind: str) -> None:
    change, message = DAMAGE[kind]
    with pytest.raises(SceneError, match=f"resume: .*{message}"):
        load(change(a_state().save(KEY, run())))


@pytest.mark.parametrize(
    "numbers",
    [
        (0, 20, 0.25, 3.5, 0, 0),
        (151, 20, 0.25, 3.5, 0, 0),
        (2**63, 20, 0.25, 3.5, 0, 0),
        (139, 20, 0.25, 3.5, 0, 0),
        (140, 20, float("nan"), 3.5, 0, 0),
        (140, 20, float("inf"), 3.5, 0, 0),
        (140, 20, -1.0, 3.5, 0, 0),
        (140, 20, 0.25, float("nan"), 0, 0),
        (140, 20, 0.25, 3.5, 2**64 - 1, 1),
        (140, 20, 0.25, 3.5, 0, 2**40),
    ],
)
def test_numbers_that_do_not_fit_are_refused(numbers: tuple[Any, ...]) -> None:
    """Though hash and key are right; before anything is allocated by them."""
    body = a_state().save(KEY, run())[_BODY:]
    tracemalloc.start()
    with pytest.raises(SceneError, match=r"the state is damaged \(its numbers do not fit"):
        load(sealed(_NUMBERS.pack(*numbers) + body[_NUMBERS.size :]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * len(body)


def test_any_bytes_give_a_state_or_a_clean_error() -> None:
    """With hash and key mended, a third of the changes in the header; a model may be there."""
    body = a_state().save(KEY, run())[_BODY:]
    numbers = list(_NUMBERS.unpack_from(body))
    with_model = _NUMBERS.pack(*numbers[:4], 64, 64) + body[_NUMBERS.size :] + bytes(128)
    rng = np.random.default_rng(0)
    for trial in range(600):
        changed = bytearray(with_model if trial % 2 else body)
        end = _NUMBERS.size if trial % 3 == 0 else len(changed)
        for place in rng.integers(0, end, rng.integers(1, 4)):
            changed[place] = rng.integers(0, 256)
        cut = rng.integers(0, len(changed)) if trial % 7 == 0 else len(changed)
        with suppress(SceneError):
            found = load(sealed(bytes(changed[:cut])))
            assert 1 <= len(found.scene) <= len(SCENE)
            assert len(set(found.index.tolist())) == len(found.scene)
