"""What is particular to method predict-gs: bases, pools, streams it refuses, effort high."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import gscodec
import reference_decoder as reference
import reference_predict_gs
from anchors import make_anchor_scene, small_views
from gscodec.coding import Decoder, Encoder, encode_naturals
from gscodec.container import pack, unpack
from gscodec.errors import FormatError
from gscodec.fit import pool as fit_pool
from gscodec.fit import predict_gs as fit
from gscodec.fit.mixing import Mixing
from gscodec.intnet.basis import ENTRY_MAX, MAX_EXPONENT, REACH, Basis, joined
from gscodec.intnet.hashgrid import HashGrid
from gscodec.intnet.pool import Pool
from gscodec.intnet.prediction import Prediction, decode_prediction, mixed
from gscodec.kinds.anchors import anchor_units
from gscodec.kinds.gaussians import gaussian_units
from gscodec.methods import predict_gs
from gscodec.payload import Attribute
from predicting import always_mix, always_predict, pool_of
from quick import set_defaults
from reference_hac import decode_grid
from scenes import make_scene, silent

if TYPE_CHECKING:
    from numpy.typing import NDArray

F, BITS = 5, 7
RNG = np.random.default_rng(3)
CELLS = RNG.integers(0, 1 << BITS, (40, 3))
BASIS = Basis(RNG.integers(-127, 128, (F, F)), np.array([64, -64, 0, 3, 9]))
POOL = pool_of(CELLS, F)


# --- what a file says -------------------------------------------------------------------------


def read(streams: tuple[bytes, bytes], columns: int = F) -> Prediction:
    """By gscodec."""
    return decode_prediction(Decoder(streams[0]), Decoder(streams[1]), columns, BITS)


def check_refused(streams: tuple[bytes, bytes], message: str, columns: int = F) -> None:
    """By both decoders."""
    with pytest.raises(FormatError, match=message):
        read(streams, columns)
    grid = decode_grid(streams[0], BITS)
    with pytest.raises(reference.BadFileError):
        reference_predict_gs.decode_basis(streams[1], grid, columns)


@pytest.mark.parametrize("basis", [None, BASIS])
@pytest.mark.parametrize("pool", [None, POOL])
def test_a_prediction_is_read_as_it_was_written(basis: Any, pool: Any) -> None:
    made = Prediction(basis, pool)
    back = read(made.encode())
    assert bool(back) == bool(made) == (basis is not None or pool is not None)
    assert back.encode() == made.encode()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (Prediction(replace(BASIS, matrix=np.full((F, F), 128))), "entries up to 128"),
        (Prediction(replace(BASIS, exponents=np.full(F, -65))), "exponents up to 65"),
        (Prediction(None, replace(POOL, fraction_bits=61)), "61 fraction bits"),
        (Prediction(None, replace(POOL, log2_unit=31)), "log2 unit 31"),
    ],
)
def test_a_prediction_beyond_its_limits_is_refused(changed: Prediction, message: str) -> None:
    check_refused(changed.encode(), message)


def test_flags_are_checked() -> None:
    """Other flags, levels of no pool, nothing to mix, and bytes left over."""
    (no_grid, _), (grid, _) = Prediction().encode(), Prediction(None, POOL).encode()
    for flags, own, message in (((2, 0), no_grid, "flags 2"), ((0, 0), grid, "2 levels")):
        encoder = Encoder()
        encode_naturals(encoder, np.array(flags))
        check_refused((own, encoder.finish()), message)
    check_refused(Prediction(BASIS).encode(), "no columns", columns=0)
    first, second = Prediction(BASIS).encode()
    check_refused((first, second + b"\xff" * 8), "left over")


def test_mixed_units_are_features_or_higher_coefficients() -> None:
    assert mixed(anchor_units(32, 10)) == range(1, 5)
    assert mixed(gaussian_units(3)) == range(4, 10)
    assert not mixed(gaussian_units(0))


# --- integers ---------------------------------------------------------------------------------


def test_values_are_exact_at_the_ends_of_all_ranges() -> None:
    """256 columns of the largest coordinates and entries."""
    basis = Basis(np.full((256, 256), ENTRY_MAX), np.zeros(256, np.int64))
    coordinates = np.full((3, 256), 2 * REACH - 1)
    coordinates[1] *= -1
    coordinates[2, ::2] *= -1
    found = basis.mixed(coordinates)
    wanted = [ENTRY_MAX * sum(row) for row in coordinates.tolist()]
    assert [set(row) for row in found.tolist()] == [{value} for value in wanted]
    assert np.isfinite(
        np.ldexp(found.astype(np.float64), MAX_EXPONENT).astype(np.float32)
    ).all()


def test_parts_come_to_the_finest_fraction() -> None:
    """And no further than integers reach, whatever a file asks for."""
    coarse, fine = np.array([[3, -(1 << 49)]]), np.array([[5]])
    assert joined([coarse, fine], [2, 6]).tolist() == [[48, -REACH, 5]]
    assert joined([coarse, fine], [0, 60]).tolist() == [[0, 0, 5]]


def test_rounding_a_basis_keeps_its_inverse_exact() -> None:
    """What it mixes is found again, for the encoder inverts the integers."""
    basis = Basis.near(RNG.normal(size=(F, F)) * 10.0 ** np.arange(-4, 1)[:, None])
    assert np.abs(basis.matrix).max(axis=1).min() > ENTRY_MAX // 2
    assert np.abs(basis.matrix).max() <= ENTRY_MAX
    assert np.allclose(basis.floats() @ np.linalg.inv(basis.floats()), np.eye(F), atol=1e-9)


# --- what is learned --------------------------------------------------------------------------


def steps_of(count: int, columns: int) -> fit.Steps:
    """All alike."""
    zeros = np.zeros(columns)
    return fit.Steps(zeros, np.zeros(count), zeros, 0.0)


def correlated(count: int, columns: int) -> NDArray[np.float64]:
    """Two numbers decide all columns, about."""
    latent = RNG.normal(size=(count, 2)) * 8
    return latent @ RNG.normal(size=(2, columns)) + RNG.normal(size=(count, columns))


def test_a_basis_takes_correlation_and_agreement_away() -> None:
    """Coordinates by their size; errors of unit size that do not agree."""
    values, agreement = correlated(3000, 6), np.full((6, 6), 0.6) + 0.4 * np.eye(6)
    basis = fit.learned_basis(values, steps_of(3000, 6), agreement)
    assert basis is not None
    matrix = basis.floats()
    spread = np.cov((values @ np.linalg.inv(matrix).T).T)
    sizes = np.diag(spread)
    assert (sizes[1:] < 1.1 * sizes[:-1]).all()
    assert sizes[1] > 20 * sizes[2]
    apart = spread - np.diag(sizes)
    assert (np.abs(apart) < 0.2 * np.sqrt(sizes * sizes[:, None])).all()
    shown = matrix.T @ agreement @ matrix
    assert np.allclose(shown, np.eye(6), atol=0.05)


def test_a_basis_that_does_not_pay_is_not_taken() -> None:
    """Few primitives, or columns that do not correlate."""
    alone = RNG.normal(size=(3000, 6)) * 20
    assert fit.learned_basis(alone, steps_of(3000, 6), np.eye(6)) is None
    assert fit.learned_basis(correlated(3, 6), steps_of(3, 6), np.eye(6)) is None


def test_a_pool_is_learned_where_it_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    """What places do not tell needs none; what they tell is predicted to a part of it."""
    pytest.importorskip("torch")
    monkeypatch.setattr(fit_pool, "SHARE", 1.0)
    cells = RNG.integers(0, 1 << 10, (3000, 3))
    smooth = np.sin(cells / 250.0) * 100
    steps, ideal = steps_of(3000, 3), np.zeros((3000, 3))
    options = predict_gs.Options(training=150, threads=1)

    def learned(values: NDArray[np.float64]) -> Any:
        return fit_pool.learned_pool(cells, values, ideal, steps.bits, options, lambda _: None)

    assert learned(RNG.permutation(smooth)) is None
    pool = learned(smooth + 40)
    assert isinstance(pool, Pool)
    assert pool.grid.levels
    left = smooth + 40 - fit_pool.predicted_by(pool, cells)
    assert left.var() < 0.6 * smooth.var()
    assert abs(left.mean()) < 20
    # The same bits are not worth a training where all else takes a thousand times as many.
    monkeypatch.setattr(fit_pool, "_trained", None)
    large = fit_pool.learned_pool(
        cells, smooth, ideal, lambda v: 1e9 + steps.bits(v), options, lambda _: None
    )
    assert large is None


def test_values_too_far_apart_are_not_mixed() -> None:
    """Integers would not reach."""
    columns = [np.array([[1.0, 2.0]]), np.array([[3.0]])]
    assert fit._in_reach(columns, steps_of(1, 3))
    columns[1][0, 0] = 1e6
    assert not fit._in_reach(columns, steps_of(1, 3))


# --- files ------------------------------------------------------------------------------------


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> None:
    """A basis and a pool, and training that takes no time."""
    pytest.importorskip("torch")
    set_defaults(monkeypatch, training=8)
    always_mix(monkeypatch)
    always_predict(monkeypatch)


@pytest.mark.usefixtures("both")
def test_threads_and_blocks_do_not_change_what_is_decoded() -> None:
    options: dict[str, Any] = {"views": small_views(), "block_size": 30, "raw_below": 0}
    data = gscodec.encode(make_anchor_scene(100, masked=True), "predict-gs", **options)
    payload = unpack(data)
    digests = {predict_gs.decode(payload, silent, threads).digest() for threads in (1, 2, 5)}
    assert digests == {payload.header.scene_sha256}


@pytest.mark.usefixtures("both")
def test_inspection_tells_pool_and_basis_from_residuals() -> None:
    options: dict[str, Any] = {"views": small_views(), "raw_below": 0}
    data = gscodec.encode(make_anchor_scene(40), "predict-gs", **options)
    rows = {row.name: row.bytes for row in gscodec.inspect(data).rows}
    assert {"grid", "basis", "feature", "networks"} <= rows.keys()
    assert sum(rows.values()) == len(data)


@pytest.mark.usefixtures("both")
@pytest.mark.parametrize("kind", ["gaussians", "anchors"])
def test_effort_high_descends_in_residuals(kind: str) -> None:
    """Rounds and settling go through the basis and the pool; so does what is decoded."""
    scene = make_scene(60, 2) if kind == "gaussians" else make_anchor_scene(50)
    quick: dict[str, Any] = {
        "effort": "high",
        "iterations": 6,
        "round_length": 3,
        "raw_below": 0,
    }
    made = gscodec.encode_with_report(scene, "predict-gs", views=small_views(), **quick)
    assert gscodec.decode(made.data).digest() == made.reconstruction.digest()


def test_residuals_are_drawn_as_values() -> None:
    """Values to residuals and back, in numpy and as a renderer sees them."""
    torch = pytest.importorskip("torch")
    basis = Basis(BASIS.matrix, np.arange(F))
    mixing = Mixing(range(2, 4), Prediction(basis, POOL), RNG.normal(size=(9, F)))
    columns = [RNG.normal(size=(9, width)) for width in (1, 2, 3, 2, 4)]
    residuals = mixing.residuals(columns)
    assert not np.allclose(residuals[2], columns[2])
    back = mixing.values(residuals)
    assert all(np.allclose(a, b, atol=1e-9) for a, b in zip(back, columns, strict=True))
    drawn: list[Any] = []
    inner = SimpleNamespace(
        free=[], limits=(), conventions=None, gaussians=lambda values, *_: drawn.extend(values)
    )
    one_decision: Any = mixing.drawing(inner, 1)
    one_decision.gaussians(
        [torch.from_numpy(c.astype(np.float32)) for c in residuals[1:]], 0, 0
    )
    assert all(np.allclose(d, c, atol=1e-3) for d, c in zip(drawn, columns[1:], strict=True))


def test_a_grid_of_no_levels_is_a_pool_too() -> None:
    """A function of positions alone."""
    layers = POOL.network.layers
    network = replace(
        POOL.network, layers=(replace(layers[0], weights=layers[0].weights[:3]), *layers[1:])
    )
    made = Prediction(None, replace(POOL, grid=HashGrid((), ()), network=network))
    assert read(made.encode()).encode() == made.encode()


@pytest.mark.usefixtures("both")
def test_a_missing_stream_is_refused() -> None:
    views = predict_gs.Given(small_views())
    payload = predict_gs.encode(make_scene(20, 1), predict_gs.Options(), silent, views).payload
    for attribute in (Attribute.GRID, Attribute.BASIS):
        left = tuple(s for s in payload.streams if s.attribute is not attribute)
        with pytest.raises(FormatError, match=f"stream {attribute.name}, block 0: missing"):
            gscodec.decode(pack(replace(payload, streams=left)))
