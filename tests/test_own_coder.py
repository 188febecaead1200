"""Our own range coder against constriction: the same words, symbols and errors."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement

import gscodec
from anchors import small_views
from gscodec.coding import Family, Model, bits, coders, own_coder, residuals
from gscodec.coding.own_coder import OwnCoder
from gscodec.errors import FormatError
from gscodec.methods import hac
from quick import set_defaults
from scenes import make_scene, silent
from test_vectors import INDEX, VECTORS

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOTAL = 1 << 24
CONSTRICTION = coders.ConstrictionCoder()


def own_coders() -> list[OwnCoder]:
    """In plain Python, compiled, and one that changes after a hundred symbols."""
    return [OwnCoder(float("inf")), OwnCoder(0), OwnCoder(100)]


def all_coders() -> list[coders.Coder]:
    """The same and constriction."""
    return [CONSTRICTION, *own_coders()]


def models() -> list[Model]:
    """Of every kind that the project has, and the steepest tables there are."""
    counts = np.random.default_rng(0).integers(0, 4000, 300)
    return [
        *(Model.uniform(size) for size in (2, 8, 32, 256)),
        *bits.class_models()[::10],
        *(residuals._models(family)[level] for family in Family for level in (0, 9, 36, 87)),
        *(Model.from_counts(counts[:size]) for size in (2, 5, 16, 300)),
        Model(np.array([1, TOTAL - 1])),
        Model(np.array([TOTAL - 1, 1])),
        Model(np.array([1, TOTAL - 2, 1])),
    ]


MODELS = models()


def make_runs(seed: int, length: int) -> list[tuple[NDArray[np.int32], Model]]:
    """Runs with tables of all kinds: likely symbols, uniform ones, or the last of the table."""
    rng = np.random.default_rng(seed)
    runs = []
    for number in rng.integers(0, len(MODELS), 12):
        model, count = MODELS[number], int(rng.integers(1, length + 1))
        share = model.frequencies / TOTAL
        symbols: NDArray[np.integer] = rng.choice(len(model), count, p=share)
        odd = rng.random(count) < rng.choice([0, 0.1, 1])
        symbols[odd] = rng.choice([len(model) - 1, *rng.integers(0, len(model), 3)])
        runs.append((symbols.astype(np.int32), model))
    return runs


def coded(coder: coders.Coder, runs: list[tuple[NDArray[np.int32], Model]]) -> list[int]:
    """The words of ``runs``."""
    encoder = coder.encoder()
    for symbols, model in runs:
        encoder.encode(symbols, coder.table(model.frequencies))
    words: list[int] = encoder.words().tolist()
    return words


def decoded(
    coder: coders.Coder, words: list[int], runs: list[tuple[int, Model]]
) -> list[object]:
    """The symbols of each run, the error where there is one, and whether the stream ended."""
    decoder = coder.decoder(np.array(words, dtype=np.uint32))
    found: list[object] = [decoder.exhausted()]
    try:
        for count, model in runs:
            found.append(decoder.decode(count, coder.table(model.frequencies)).tolist())
            found.append(decoder.exhausted())
    except FormatError as error:
        found.append(str(error))
    return found


@settings(deadline=None)  # numba compiles in one of the examples
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 5, 300]))
def test_words_and_symbols_are_those_of_constriction(seed: int, length: int) -> None:
    runs = make_runs(seed, length)
    words = coded(CONSTRICTION, runs)
    lengths = [(len(symbols), model) for symbols, model in runs]
    symbols = decoded(CONSTRICTION, words, lengths)
    assert symbols[1::2] == [run.tolist() for run, _ in runs]
    assert symbols[-1] is True
    for coder in own_coders():
        assert coded(coder, runs) == words
        assert decoded(coder, words, lengths) == symbols


words_of_streams = st.lists(
    st.one_of(st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 2**32 - 2, 2**32 - 1])),
    max_size=12,
)


@settings(deadline=None)
@given(words_of_streams, st.integers(0, 2**32 - 1))
def test_any_words_give_the_same_symbols_or_the_same_error(words: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    numbers, counts = rng.integers(0, len(MODELS), 4), rng.integers(1, 30, 4).tolist()
    runs = [(count, MODELS[number]) for count, number in zip(counts, numbers, strict=True)]
    wanted = decoded(CONSTRICTION, words, runs)
    for coder in own_coders():
        assert decoded(coder, words, runs) == wanted


def test_words_that_no_encoder_writes_are_refused() -> None:
    for coder in all_coders():
        decoder = coder.decoder(np.array([2**32 - 1, 2**32 - 1], dtype=np.uint32))
        with pytest.raises(FormatError, match="invalid data for the range decoder"):
            decoder.decode(1, coder.table(Model.uniform(2).frequencies))


@pytest.mark.parametrize("end", [0, 1, 2])
def test_a_carry_runs_through_many_words(end: int) -> None:
    """A narrow interval around one half: words of ones or zeros that the next carry turns."""
    half = Model(np.array([TOTAL // 2 - 1, 2, TOTAL // 2 - 1]))
    middle = np.ones(1, dtype=np.int32)
    # Within the narrow interval of the middle symbol its two halves meet at one half again.
    runs = [(middle, half), (np.zeros(1, dtype=np.int32), Model.uniform(2))]
    runs += [(np.full(200, 1, dtype=np.int32), Model.uniform(2))]
    runs += [(np.array([end], dtype=np.int32), half)]
    words = coded(CONSTRICTION, runs)
    for coder in own_coders():
        assert coded(coder, runs) == words


def test_runs_longer_than_a_slice() -> None:
    symbols = np.random.default_rng(0).integers(0, 2, 150_000, dtype=np.int32)
    runs = [(symbols, Model.uniform(2)), (symbols[:70_000], MODELS[4])]
    words = coded(CONSTRICTION, runs)
    for coder in own_coders():
        assert coded(coder, runs) == words
        found = decoded(coder, words, [(len(run), model) for run, model in runs])
        assert found[1::2] == [run.tolist() for run, _ in runs]


@pytest.mark.parametrize("symbol", [-1, 2])
def test_symbols_outside_of_the_table_are_never_coded(symbol: int) -> None:
    """A bug of the caller, by the same class from all."""
    for coder in all_coders():
        table = coder.table(Model.uniform(2).frequencies)
        with pytest.raises(KeyError):
            coder.encoder().encode(np.array([symbol], dtype=np.int32), table)


# --- whole files -----------------------------------------------------------------------------


class Witness:
    """A coder that asks constriction and our own, and compares.

    One of our own is compiled, the other one after the symbols of a small file.
    """

    def __init__(self) -> None:
        self.coders: list[coders.Coder] = [CONSTRICTION, OwnCoder(0), OwnCoder(300_000)]

    def table(self, frequencies: NDArray[np.int64]) -> list[Any]:
        return [coder.table(frequencies) for coder in self.coders]

    def encoder(self) -> coders.RunEncoder:
        return _Together([coder.encoder() for coder in self.coders])

    def decoder(self, words: NDArray[np.uint32]) -> coders.RunDecoder:
        return _Together([coder.decoder(words) for coder in self.coders])


class _Together:
    """Encoders or decoders side by side."""

    def __init__(self, parts: list[Any]) -> None:
        self.parts = parts

    def encode(self, symbols: NDArray[np.int32], table: list[Any]) -> None:
        for part, own in zip(self.parts, table, strict=True):
            part.encode(symbols, own)

    def words(self) -> NDArray[np.uint32]:
        return _agreed([part.words() for part in self.parts])

    def decode(self, count: int, table: list[Any]) -> NDArray[np.int32]:
        both = zip(self.parts, table, strict=True)
        return _agreed([part.decode(count, own) for part, own in both])

    def exhausted(self) -> bool:
        (answer,) = {part.exhausted() for part in self.parts}
        return bool(answer)


def _agreed(arrays: list[NDArray[Any]]) -> NDArray[Any]:
    for array in arrays[1:]:
        assert array.dtype == arrays[0].dtype
        assert np.array_equal(array, arrays[0])
    return arrays[0]


@pytest.fixture
def witness(monkeypatch: pytest.MonkeyPatch) -> None:
    """All three coders do the work."""
    coder = Witness()
    monkeypatch.setattr(coders, "chosen", lambda: coder)


@pytest.mark.usefixtures("witness")
@pytest.mark.parametrize("name", INDEX)
def test_every_vector_decodes_alike(name: str) -> None:
    scene = gscodec.decode((VECTORS / f"{name}.gsz").read_bytes())
    assert scene.digest().hex() == INDEX[name]["scene_sha256"]


@pytest.mark.usefixtures("witness")
def test_raw_encodes_alike() -> None:
    scene = make_scene(300, 1)
    assert gscodec.decode(gscodec.encode(scene, method="raw")).digest() == scene.digest()


@pytest.mark.usefixtures("witness")
def test_hac_encodes_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("numba")
    set_defaults(monkeypatch, training=5)
    given = hac.Given(views=small_views())
    coded = hac.encode(make_scene(300, 1), hac.Options(), silent, given)
    decoded_scene = hac.decode(coded.payload, silent)
    assert decoded_scene.digest() == coded.reconstruction.digest()


# --- without constriction --------------------------------------------------------------------

# Encodes a scene in raw and prints its SHA-256, the digest of a vector, and what was imported.
WITHOUT = """
import hashlib, sys
for name in sys.argv[2].split():
    sys.modules[name] = None  # importing it raises ImportError
import gscodec
from scenes import make_scene
print(hashlib.sha256(gscodec.encode(make_scene(300, 1), method="raw")).hexdigest())
print(gscodec.decode(open(sys.argv[1], "rb").read()).digest().hex())
print(sorted({"constriction", "numba"} & {n for n, m in sys.modules.items() if m}))
"""


def test_what_is_missing_changes_no_bit() -> None:
    """A small file asks for numba in no case."""
    name = "raw/sh3_normals"
    command = [sys.executable, "-c", WITHOUT, str(VECTORS / f"{name}.gsz")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(["tests", *sys.path])}
    answers = [
        subprocess.run(
            [*command, missing], env=env, capture_output=True, text=True, check=True
        ).stdout.split("\n")
        for missing in ("", "constriction", "constriction numba")
    ]
    assert answers[0][:2] == answers[1][:2] == answers[2][:2]
    assert answers[0][1] == INDEX[name]["scene_sha256"]
    assert [a[2] for a in answers] == ["['constriction']", "[]", "[]"]


def test_numba_is_missed_only_in_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    assert own_coder.compiled_loops.__wrapped__() is own_coder.PLAIN


# --- what pip installs -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("platform", "machine", "wanted"),
    [
        ("linux", "x86_64", True),
        ("linux", "aarch64", False),
        ("linux", "armv7l", False),
        ("linux", "i686", False),
        ("linux", "riscv64", False),
        ("darwin", "arm64", True),
        ("darwin", "x86_64", True),
        ("win32", "AMD64", True),
        ("win32", "ARM64", False),
        ("win32", "x86", False),
        ("freebsd14", "x86_64", False),
        ("emscripten", "wasm32", False),
    ],
)
def test_constriction_is_asked_for_where_it_has_wheels(
    platform: str, machine: str, wanted: bool
) -> None:
    text = (Path(__file__).resolve().parents[1] / "pyproject.toml").read_text()
    (found,) = (
        requirement
        for requirement in map(Requirement, tomllib.loads(text)["project"]["dependencies"])
        if requirement.name == "constriction"
    )
    assert found.marker is not None
    place = {"sys_platform": platform, "platform_machine": machine}
    cpython = {"platform_python_implementation": "CPython"}
    assert found.marker.evaluate({**place, **cpython}) is wanted
    assert not found.marker.evaluate({**place, "platform_python_implementation": "PyPy"})
