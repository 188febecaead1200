"""Range coder, naturals, tables and residuals: exact, and safe with any bytes."""

from __future__ import annotations

import hashlib
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference_decoder as reference
import reference_hac
from gscodec.coding import (
    LEVELS,
    Decoder,
    Encoder,
    Family,
    Model,
    bit_costs,
    cost_in_bits,
    decode_fitted,
    decode_naturals,
    decode_residuals,
    decode_table,
    encode_fitted,
    encode_naturals,
    encode_residuals,
    encode_table,
)
from gscodec.coding import residuals as module
from gscodec.errors import FormatError, GscodecError

TOTAL = 1 << 24
seeds = st.integers(0, 2**32 - 1)
families = st.sampled_from(list(Family))
garbage = st.binary(max_size=64).map(lambda data: data[: len(data) // 4 * 4])


# --- tables ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frequencies",
    [
        [],
        [TOTAL],
        [TOTAL, 0],
        [TOTAL + 1, -1],
        [1, TOTAL - 2],
        [1, TOTAL],
    ],
)
def test_model_refuses_bad_frequencies(frequencies: list[int]) -> None:
    """Fewer than two, any below 1, or a wrong sum."""
    with pytest.raises(FormatError, match="frequency table: found"):
        Model(np.array(frequencies, dtype=np.int64))


@given(st.lists(st.integers(0, 2**32 - 2), min_size=2, max_size=40))
def test_counts_become_frequencies_in_proportion(counts: list[int]) -> None:
    """All at least 1, right sum, and only the largest is off by more than the floor."""
    f = Model.from_counts(np.array(counts)).frequencies
    assert f.min() >= 1
    assert f.sum() == TOTAL
    spare, total = TOTAL - len(counts), max(sum(counts), 1)
    exact = [1 + c * spare // total for c in counts]
    exact[counts.index(max(counts))] += TOTAL - sum(exact)
    assert f.tolist() == exact


@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=30), st.integers(8, 12))
def test_the_decoder_gets_the_encoders_table(counts: list[int], precision: int) -> None:
    """Symbols that occurred keep more than the floor."""
    encoder = Encoder()
    ours = encode_table(encoder, np.array(counts), precision)
    theirs = decode_table(Decoder(encoder.finish()), len(counts))
    assert ours.frequencies.tolist() == theirs.frequencies.tolist()
    assert (ours.frequencies[np.array(counts) > 0] > 1).all()


def test_cost_is_what_the_coder_needs() -> None:
    """The ideal length is within a few words of the stream's."""
    rng = np.random.default_rng(0)
    symbols = rng.binomial(20, 0.3, 20_000)
    encoder = Encoder()
    model = encode_table(encoder, np.bincount(symbols, minlength=21))
    encoder = Encoder()
    encoder.encode(symbols, model)
    assert abs(8 * len(encoder.finish()) - cost_in_bits(symbols, model)) < 96


# --- coder -----------------------------------------------------------------------------------


@given(seeds, st.integers(0, 200))
def test_grouped_symbols_go_in_runs_by_rising_table(seed: int, count: int) -> None:
    """Order of the runs: by table, then by place. The reference decoder reads them so."""
    rng = np.random.default_rng(seed)
    models = [Model.from_counts(rng.integers(0, 50, size)) for size in (2, 5, 40)]
    tables = rng.integers(0, 3, count)
    symbols = np.array([rng.integers(0, len(models[t])) for t in tables], dtype=np.int64)
    encoder = Encoder()
    encoder.encode_grouped(symbols, tables, models)
    data = encoder.finish()
    decoder = Decoder(data)
    assert decoder.decode_grouped(tables, models).tolist() == symbols.tolist()
    decoder.finish()
    other = reference.RangeDecoder(data)
    for number, model in enumerate(models):
        cumulative = [0, *np.cumsum(model.frequencies).tolist()]
        run = symbols[tables == number].tolist()
        assert other.symbols(len(run), cumulative) == run


def test_nothing_is_coded_in_no_bytes() -> None:
    """An empty stream is valid; words that the decoder never looks at are left over."""
    assert Encoder().finish() == b""
    Decoder(b"").finish()
    with pytest.raises(FormatError, match="left over"):
        Decoder(b"\1\2\3\4" * 3).finish()


def test_half_a_word_is_refused() -> None:
    """Streams are whole words."""
    with pytest.raises(FormatError, match="found 7 bytes, expected a multiple of 4"):
        Decoder(b"1234567")


# --- naturals --------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 2**32 - 2), max_size=50))
def test_naturals_come_back(values: list[int]) -> None:
    """Up to the largest one."""
    encoder = Encoder()
    encode_naturals(encoder, np.array(values, dtype=np.int64))
    decoder = Decoder(encoder.finish())
    assert decode_naturals(decoder, len(values)).tolist() == values
    decoder.finish()


def test_bits_above_the_length_are_refused() -> None:
    """A length of 4 bits and then a byte that has five."""
    encoder = Encoder()
    encoder.encode(np.array([4]), Model.uniform(32))
    encoder.encode(np.array([16]), Model.uniform(256))
    with pytest.raises(FormatError, match="bits set above its declared length"):
        decode_naturals(Decoder(encoder.finish()), 1)


# --- residuals -------------------------------------------------------------------------------


def test_committed_tables_are_the_ones_of_the_specification() -> None:
    """Hash, supports and cumulative frequencies as the reference decoder has them."""
    data = files("gscodec.coding").joinpath("scale_tables.bin").read_bytes()
    assert hashlib.sha256(data).hexdigest() == module.TABLES_SHA256 == reference_hac.SHA256
    assert list(module.SUPPORT) == reference_hac.SUPPORT
    for family, tables in zip(Family, reference_hac.scale_tables(), strict=True):
        for model, table in zip(module._models(family), tables, strict=True):
            assert np.diff(table).tolist() == model.frequencies.tolist()


def test_supports_are_eight_deviations_in_exact_arithmetic() -> None:
    """ceil(8 * 2**((l - 36) / 8)) + 1, checked with integers: no float decides."""
    for level, support in enumerate(module.SUPPORT):
        reach = (support - 1) ** 8 << 12
        assert (support - 2) ** 8 << 12 < 1 << level <= reach


def test_tables_are_what_generate_makes() -> None:
    """Up to what erfc and exp of this system may do to the last place."""
    data = files("gscodec.coding").joinpath("scale_tables.bin").read_bytes()
    committed = np.frombuffer(data, dtype="<i4").astype(np.int64)
    difference = np.abs(np.frombuffer(module.generate(), dtype="<i4") - committed)
    heads = np.cumsum([0, *(s + 2 for s in module.SUPPORT * 2)])[:-1]
    rest = np.delete(difference, heads)  # the centre takes the slack of its whole table
    assert rest.max() <= 1
    assert difference[heads].max() <= 2 * (max(module.SUPPORT) + 1)


def test_a_damaged_installation_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables with another hash are not used."""
    monkeypatch.setattr(module, "TABLES_SHA256", "0" * 64)
    with pytest.raises(GscodecError, match="install gscodec again"):
        module._half_tables.__wrapped__()


@given(seeds, families, st.sampled_from([1, 3, 40, 10**4, 2**30]))
def test_residuals_come_back(seed: int, family: Family, size: int) -> None:
    """Inside the support and far beyond it, from both decoders."""
    rng = np.random.default_rng(seed)
    levels = rng.integers(0, LEVELS, 60).astype(np.uint8)
    values = rng.integers(-size, size + 1, 60)
    encoder = Encoder()
    encode_residuals(encoder, values, levels, family)
    data = encoder.finish()
    decoder = Decoder(data)
    assert decode_residuals(decoder, levels, family).tolist() == values.tolist()
    decoder.finish()
    other = reference.RangeDecoder(data)
    assert reference_hac.residuals(other, levels.tolist(), int(family)) == values.tolist()
    other.finish()


@pytest.mark.parametrize("family", Family)
def test_the_edge_of_the_support(family: Family) -> None:
    """S is the last symbol, S + 1 the first escape, on both sides and at every level."""
    levels = np.repeat(np.arange(LEVELS), 4).astype(np.uint8)
    support = np.repeat(np.array(module.SUPPORT), 4)
    values = np.tile([1, -1, 1, -1], LEVELS) * (support + np.tile([0, 0, 1, 1], LEVELS))
    encoder = Encoder()
    encode_residuals(encoder, values, levels, family)
    decoded = decode_residuals(Decoder(encoder.finish()), levels, family)
    assert decoded.tolist() == values.tolist()


def test_the_largest_escape_does_not_wrap() -> None:
    """The largest natural is a residual of 2**31 and the support."""
    level = np.array([0], dtype=np.uint8)
    encoder = Encoder()
    encoder.encode(np.array([2 * module.SUPPORT[0] + 1]), module._models(Family.LAPLACE)[0])
    encode_naturals(encoder, np.array([2**32 - 2]))
    value = decode_residuals(Decoder(encoder.finish()), level, Family.LAPLACE)
    assert value.tolist() == [2**31 - 1 + module.SUPPORT[0] + 1]


@given(st.lists(st.integers(-(2**23), 2**23), max_size=40), st.integers(0, 12))
def test_fitted_runs_come_back(values: list[int], shift: int) -> None:
    """Integers of any spread, none included."""
    v = np.array(values, dtype=np.int64) >> shift
    encoder = Encoder()
    encode_fitted(encoder, v)
    decoder = Decoder(encoder.finish())
    assert decode_fitted(decoder, len(v)).tolist() == v.tolist()
    decoder.finish()


def test_level_of_a_fitted_run_is_checked() -> None:
    """There are 88 levels."""
    encoder = Encoder()
    encode_naturals(encoder, np.array([LEVELS]))
    with pytest.raises(FormatError, match="scale level: found 88, expected 0 to 87"):
        decode_fitted(Decoder(encoder.finish()), 3)


@pytest.mark.parametrize("family", Family)
def test_bit_costs_are_those_of_the_tables(family: Family) -> None:
    """Inside the support the bits of the coder, beyond it an escape with its natural."""
    costs = bit_costs(family)
    assert costs.shape == (LEVELS, max(module.SUPPORT) + 2)
    for level, (support, model) in enumerate(
        zip(module.SUPPORT, module._models(family), strict=True)
    ):
        bits = 24 - np.log2(model.frequencies)
        np.testing.assert_allclose(costs[level, : support + 1], bits[support:-1], atol=1e-4)
        assert costs[level, support + 1] == pytest.approx(bits[-1] + 6, abs=1e-4)


@given(garbage, families, st.integers(0, LEVELS - 1))
def test_any_bytes_decode_or_are_refused(data: bytes, family: Family, level: int) -> None:
    """Nothing but FormatError, and exactly as many values as were asked for."""
    decoder = Decoder(data)
    levels = np.full(30, level, dtype=np.uint8)
    try:
        assert len(decode_residuals(decoder, levels, family)) == 30
        assert len(decode_fitted(decoder, 20)) == 20
        assert len(decode_table(decoder, 16)) == 16
        decoder.finish()
    except FormatError:
        pass
