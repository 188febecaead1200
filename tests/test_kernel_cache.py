"""Compiled kernels are kept where the user keeps such things, and no trouble there ends a run."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("numba")

from gscodec import __version__
from gscodec.errors import GscodecWarning
from gscodec.render import kernel_cache
from gscodec.render.compiled import FAST, compiled

if TYPE_CHECKING:
    from collections.abc import Callable

LINUX = pytest.mark.skipif(sys.platform in {"win32", "darwin"}, reason="other folders there")
pytestmark = LINUX


def add_one(x: float) -> float:
    """What is compiled."""
    return x + 1


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own, in the place of the user's."""
    monkeypatch.setattr(kernel_cache, "_told", [])
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def called() -> tuple[bool, list[str]]:
    """Whether a new kernel was loaded from the cache, and what was said; its result is right."""
    kernel: Any = compiled(nogil=True, fastmath=FAST)(add_one)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", GscodecWarning)
        assert kernel(1.5) == 2.5
    hits = kernel.dispatcher.stats.cache_hits
    return bool(sum(hits.values())), [str(w.message) for w in said]


def kept(home: Path) -> list[Path]:
    """What the cache folder of ``home`` holds."""
    return sorted((home / f".cache/gscodec/kernels-{__version__}").iterdir())


def test_the_second_run_loads(home: Path) -> None:
    """From the user's cache folder; nothing lies beside the code."""
    assert called() == (False, [])
    assert [p.suffix for p in kept(home)] == [".kernel"]
    assert called() == (True, [])
    assert not list(Path(kernel_cache.__file__).parent.glob("__pycache__/*add_one*"))


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:0],
        lambda data: data[: len(data) // 2],
        lambda data: bytes(len(data)),
        lambda data: data[:-1] + bytes([data[-1] ^ 1]),
        lambda data: data[1:],
    ],
    ids=["empty", "half", "zeros", "bit", "shifted"],
)
def test_damage_is_told_and_mended(home: Path, damage: Callable[[bytes], bytes]) -> None:
    """After a power cut: one note that names the folder, and the next run loads again."""
    called()
    (file,) = kept(home)
    file.write_bytes(damage(file.read_bytes()))
    found, said = called()
    assert (found, len(said)) == (False, 1)
    assert said[0].startswith(f"{file.parent}: add_one-")
    assert called() == (True, [])


def test_what_is_whole_but_not_numbas(home: Path) -> None:
    """The checksum is right and the content is no kernel."""
    import hashlib
    import pickle

    called()
    (file,) = kept(home)
    for content in (b"", b"no pickle", pickle.dumps(["not", "a", "kernel"])):
        kernel_cache._told.clear()
        file.write_bytes(hashlib.sha256(content).digest() + content)
        found, said = called()
        assert (found, len(said)) == (False, 1)
    assert called() == (True, [])


def test_full_disk(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing half written stays."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    found, said = called()
    assert found is False
    place = home / f".cache/gscodec/kernels-{__version__}"
    assert said == [f"{place}: No space left on device; kernels are compiled anew"]
    assert kept(home) == []


@pytest.mark.parametrize("value", ["~", "relative", "/"])
def test_no_home(home: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """No folder is made that is named "~", or in the current folder."""
    monkeypatch.setenv("HOME", value)
    monkeypatch.setenv("XDG_CACHE_HOME", "~/.cache")
    monkeypatch.setenv("NUMBA_CACHE_DIR", "~/numba")
    monkeypatch.setattr(os.path, "expanduser", lambda _: value)
    found, said = called()
    assert found is False
    assert said == [
        f"there is no folder for caches, and no home but {value!r}; kernels are compiled anew"
    ]
    assert called() == (False, [])  # once is enough
    assert list(home.iterdir()) == []


def test_a_folder_that_cannot_be(home: Path) -> None:
    """A file in its place."""
    (home / ".cache").write_text("")
    found, said = called()
    assert (found, len(said)) == (False, 1)
    assert str(home / ".cache/gscodec") in said[0]


def test_a_folder_that_others_may_write(home: Path) -> None:
    """What is loaded is run."""
    called()
    kept(home)[0].parent.chmod(0o777)
    found, said = called()
    assert found is False
    assert "others may write there; kernels are compiled anew" in said[0]


def test_variables_choose_the_folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numba's own, and that of the desktop standard."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "xdg"))
    assert kernel_cache.folder() == home / f"xdg/gscodec/kernels-{__version__}"
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(home / "numba"))
    assert kernel_cache.folder() == home / f"numba/gscodec/kernels-{__version__}"


SCRIPT = """\
import sys
from gscodec.render.compiled import FAST, compiled
import fresh
kernel = compiled(fastmath=FAST)(fresh.double)
assert kernel(2) == 4
print(sum(kernel.dispatcher.stats.cache_hits.values()))
"""


def test_another_process_loads_what_one_has_kept(home: Path) -> None:
    """Whatever its hashes; a changed source is compiled anew."""
    source = home / "fresh.py"
    source.write_text("def double(x):\n    return 2 * x\n")

    def run(seed: int) -> str:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", SCRIPT],
            cwd=home,
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            check=True,
            text=True,
        )
        return done.stdout.strip()

    assert [run(1), run(2)] == ["0", "1"]
    source.write_text("def double(x):\n    return x + x\n")
    assert run(3) == "0"
