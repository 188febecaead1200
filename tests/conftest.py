"""What every test file may ask for by name."""

from __future__ import annotations

import os

# Two pools of spinning threads on two cores are slower than one thread; results do not change.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import io
import signal
import sys
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from hypothesis import settings

import scenes
from command import Result
from gscodec.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from command import Cli
    from gscodec.scene import GaussianScene

# CI must not fail at random; a developer's machine may find something new.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("wide", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "wide")


@pytest.fixture(scope="session")
def make_scene() -> Callable[..., GaussianScene]:
    """`scenes.make_scene`: (n, degree, seed) -> a scene."""
    return scenes.make_scene


@pytest.fixture(scope="session", params=list(scenes.hard_scenes()))
def hard_scene(request: pytest.FixtureRequest) -> GaussianScene:
    """Each of `scenes.hard_scenes` in turn."""
    return scenes.hard_scenes()[request.param]


@pytest.fixture
def cli(
    capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Cli:
    """Runs ``gscodec`` in this process, inside an empty folder."""
    monkeypatch.chdir(tmp_path)
    handlers = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}

    def run(*args: str | Path, stdin: bytes = b"") -> Result:
        monkeypatch.setattr(sys, "argv", ["gscodec", *map(str, args)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        try:
            with patch.dict(os.environ), pytest.raises(SystemExit) as ended:
                main()
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            if numba := sys.modules.get("numba"):
                numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
        out, err = capfdbinary.readouterr()
        code = ended.value.code
        return Result(code if isinstance(code, int) else 0, out, err.decode())

    return run
