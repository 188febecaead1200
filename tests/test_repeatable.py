"""Same input, seed, machine and version give the same file, in whatever process.

Run as a script, this prints a digest of each thing that an encoder makes: the test compares
those of processes that have other threads, another order of hashes, and compiled kernels or not.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from anchors import make_anchor_scene, small_views
from quick import LEARNED
from scenes import make_scene, silent

pytest.importorskip("torch")
pytest.importorskip("numba")

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

_MANY = 12_000  # Gaussians: OpenBLAS takes threads for 10,000 numbers or more


def _digest(arrays: Iterable[NDArray[np.float64]]) -> str:
    return hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest()


def measured() -> str:
    """Of the weights of all values, which the rounding of a file may hide."""
    from gscodec.fit.gaussian_subject import GaussianSubject
    from gscodec.kinds.aside import Aside
    from gscodec.learned.run import Run
    from gscodec.methods.hac import METHOD, Given, Options

    scene = make_scene(_MANY, 1)
    given = Given(views=small_views())
    run = Run.of(METHOD, Aside(scene, "Gaussians"), Options(), given, silent)
    assert isinstance(run.subject, GaussianSubject)
    weights = run.subject.measured(run, scene).source.weights
    return _digest([weights.dc, weights.rest, weights.opacity, weights.scale, weights.rotation])


def files() -> list[str]:
    """Of files of both kinds of scenes, after little training; effort high does all of fast."""
    import gscodec

    options: dict[str, Any] = {
        "views": small_views(),
        "effort": "high",
        "iterations": 40,
        "training": 20,
        "raw_below": 0,
    }
    gaussians, made = make_scene(600, 1), []
    for method in LEARNED:
        # So many iterations gain with all methods at this lambda; else it is the file of fast.
        high = gscodec.encode(gaussians, method, lam=5e-3, **options)
        settings: Any = gscodec.inspect(high).meta["settings"]
        assert settings["effort"] == "high"
        made += [high, gscodec.encode(make_anchor_scene(300), method, **options)]
    return [hashlib.sha256(data).hexdigest() for data in made]


def _run(cache: Path, threads: int) -> list[str]:
    """The output of this file as a script, line by line, in another process."""
    variables = {"NUMBA_CACHE_DIR": str(cache), "PYTHONHASHSEED": str(threads)}
    for pool in ("OMP", "OPENBLAS", "MKL", "NUMBA"):
        variables[f"{pool}_NUM_THREADS"] = str(threads)
    done = subprocess.run(
        [sys.executable, __file__],
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return done.stdout.splitlines()


def test_every_process_makes_the_same_file(tmp_path: Path) -> None:
    """The first one compiles the kernels and has one thread; the second loads them, and has two."""
    cold, warm = (_run(tmp_path, threads) for threads in (1, 2))
    assert any(tmp_path.rglob("*.kernel"))
    assert len(cold) == 1 + 2 * len(LEARNED)
    assert warm == cold


if __name__ == "__main__":
    sys.stdout.write("\n".join([measured(), *files()]))
