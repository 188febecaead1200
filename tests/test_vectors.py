"""Committed files decode to what they decoded to when they were made, on any machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import gscodec
from scenes import gaussians

VECTORS = Path(__file__).resolve().parent / "vectors"
INDEX: dict[str, dict[str, object]] = json.loads((VECTORS / "index.json").read_text())

# Decodes the files named on the command line and prints one digest per line.
DECODE = """
import sys
for name in ("torch", "numba", "gsplat"):
    sys.modules[name] = None  # importing it raises ImportError
import gscodec
for path in sys.argv[1:]:
    print(gscodec.decode(open(path, "rb").read()).digest().hex())
"""

# Other kernels in OpenBLAS and numpy, other numbers of threads.
MACHINES = {
    "one thread": {"OPENBLAS_NUM_THREADS": "1"},
    "two threads": {"OPENBLAS_NUM_THREADS": "2"},
    "old x86 kernels": {"OPENBLAS_CORETYPE": "Prescott"},
    "Haswell kernels": {"OPENBLAS_CORETYPE": "Haswell"},
    "numpy without AVX": {
        "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F AVX512CD AVX512_SKX AVX512_CLX "
        "AVX512_CNL AVX512_ICL AVX512_SPR X86_V3 X86_V4"
    },
}


def test_the_index_names_exactly_the_files_that_exist() -> None:
    files = {str(p.relative_to(VECTORS).with_suffix("")) for p in VECTORS.rglob("*.gsz")}
    assert files == INDEX.keys()
    assert files


@pytest.mark.parametrize("name", INDEX)
def test_a_vector_decodes_to_its_recorded_digest(name: str) -> None:
    scene = gscodec.decode((VECTORS / f"{name}.gsz").read_bytes())
    assert len(scene) == INDEX[name]["count"]
    assert scene.digest().hex() == INDEX[name]["scene_sha256"]
    if "origin" in INDEX[name]:
        found = gaussians(scene)
        assert found.antialiased == INDEX[name]["antialiased"]
        assert list(found.origin or ()) == INDEX[name]["origin"]


@pytest.mark.parametrize("machine", MACHINES)
def test_every_vector_decodes_without_torch_and_on_other_kernels(machine: str) -> None:
    names = sorted(INDEX)
    run = subprocess.run(
        [sys.executable, "-c", DECODE, *(str(VECTORS / f"{n}.gsz") for n in names)],
        env={**os.environ, "PYTHONWARNINGS": "ignore", **MACHINES[machine]},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.split() == [INDEX[n]["scene_sha256"] for n in names]
