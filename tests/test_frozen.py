"""Encodes that must not change by a byte while the encoder is rebuilt."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("torch")
pytest.importorskip("numba")

import frozen

KNOWN = json.loads(frozen.FILE.read_text())


@pytest.mark.parametrize("case", frozen.CASES)
def test_the_bytes_are_those_of_before(case: str) -> None:
    found, known = frozen.digest(case), KNOWN.get(frozen.environment(), {})
    if case not in known:
        pytest.skip(
            f"encoded and verified, but frozen.json does not know it on: {frozen.environment()}"
        )
    assert found == known[case]
