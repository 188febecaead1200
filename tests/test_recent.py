"""What is measured of a scene serves the encodes that follow, and only where it is the same."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

import gscodec
from anchors import small_views
from quick import set_defaults
from scenes import make_scene

pytest.importorskip("torch")
pytest.importorskip("numba")

from gscodec.fit import gaussians, views
from gscodec.fit.recent import Recent, key_of


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of what was called: ``measure`` and ``virtual_cameras``."""
    made: list[str] = []

    def spied(name: str, function: Any) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            made.append(name)
            return function(*args, **options)

        return call

    set_defaults(monkeypatch, training=20, raw_below=0)
    monkeypatch.setattr(gaussians, "_SEEN", Recent())
    monkeypatch.setitem(views._FOUND, "fast", Recent())
    for module, name in ((gaussians, "measure"), (views, "virtual_cameras")):
        monkeypatch.setattr(module, name, spied(name, getattr(module, name)))
    return made


def test_one_measurement_serves_all_lambdas(
    calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files are those of encodes that measured for themselves."""
    scene = make_scene(200, 1)
    files = [gscodec.encode(scene, lam=lam) for lam in (1e-3, 4e-3)]
    assert calls == ["virtual_cameras", "measure"]
    monkeypatch.setattr(gaussians, "_SEEN", Recent())
    monkeypatch.setitem(views._FOUND, "fast", Recent())
    assert gscodec.encode(scene, lam=4e-3) == files[1]


@pytest.mark.parametrize("change", ["scene", "seed", "views"])
def test_something_else_is_measured_anew(calls: list[str], change: str) -> None:
    """Another scene, other signs, other cameras."""
    scene = make_scene(200, 1)
    options: dict[str, Any] = {}
    gscodec.encode(scene)
    del calls[:]
    if change == "scene":
        scene = make_scene(200, 1, seed=1)
    else:
        options = {"seed": 1} if change == "seed" else {"views": small_views()}
    gscodec.encode(scene, **options)
    assert calls.count("measure") == 1
    assert calls.count("virtual_cameras") == (change == "scene")


def test_only_the_last_one_is_kept() -> None:
    """By the key alone; a result that was not made leaves nothing behind."""
    recent: Recent[int] = Recent()
    numbers = count()
    found = [recent.get(key, lambda: next(numbers)) for key in (b"a", b"a", b"b", b"a")]
    assert found == [0, 0, 1, 2]

    def fails() -> int:
        raise ValueError

    with pytest.raises(ValueError):
        recent.get(b"c", fails)
    assert recent.get(b"c", lambda: 5) == 5


def test_keys_tell_values_apart() -> None:
    """The same values have the same key, whatever object holds them."""
    scene, again, other = make_scene(50), make_scene(50), make_scene(50, seed=1)
    assert key_of(scene, 1, 2.5) == key_of(again, 1, 2.5)
    assert len({key_of(scene, 1), key_of(other, 1), key_of(scene, 2)}) == 3
