"""`gscodec inspect --latents`: latents of method ralhe as a picture."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import gscodec
from anchors import small_views
from gscodec import codec
from gscodec.container import unpack
from gscodec.errors import UsageError
from gscodec.payload import Attribute
from gscodec.report.bit_page import bit_map_html
from quick import few_latents, set_defaults
from scenes import make_scene

if TYPE_CHECKING:
    from command import Cli


@pytest.fixture(scope="module")
def made() -> bytes:
    """A file that has latents."""
    with pytest.MonkeyPatch.context() as patch:
        few_latents(patch)
        set_defaults(patch, training=8, raw_below=0)
        return gscodec.encode(make_scene(400, 1), "ralhe", views=small_views())


def test_levels(made: bytes) -> None:
    """From coarse to fine, each cell once."""
    levels = codec.latents(made)
    depths = [level.depth for level in levels]
    assert depths == sorted(set(depths))
    assert len(depths) > 1
    for level in levels:
        assert len(np.unique(level.cells, axis=0)) == len(level.cells) == len(level.values)
        assert level.cells.min() >= 0
        assert level.cells.max() < 1 << level.depth
    assert any(np.any(level.values) for level in levels)


def test_the_sheet_has_a_row_for_each_level(cli: Cli, made: bytes) -> None:
    """With colours, where latents are not zero."""
    pytest.importorskip("matplotlib")
    image = pytest.importorskip("PIL.Image")
    Path("a.gsz").write_bytes(made)
    assert cli("inspect", "a.gsz", "--latents", "a.png").code == 0
    picture = np.asarray(image.open(io.BytesIO(Path("a.png").read_bytes())).convert("RGB"))
    levels = codec.latents(made)
    height, width, _ = picture.shape
    assert height / width == pytest.approx(
        (2.6 * len(levels) + 0.8) / (2.6 * levels[0].values.shape[1] + 0.6), rel=0.02
    )
    spread = picture.max(axis=2).astype(int) - picture.min(axis=2)
    assert (spread > 60).mean() > 0.01
    assert cli("inspect", "a.gsz", "--latents", "a.png").code == 6  # it exists


def test_other_methods_have_none(cli: Cli) -> None:
    """Told in one line, before anything is drawn."""
    Path("raw.gsz").write_bytes(gscodec.encode(make_scene(5), "raw"))
    with pytest.raises(UsageError, match="method raw has none"):
        codec.latents(Path("raw.gsz").read_bytes())
    pytest.importorskip("matplotlib")
    result = cli("inspect", "raw.gsz", "--latents", "x.png")
    assert result.code == 2
    assert "latents: method raw has none; expected a file of method ralhe" in result.err
    assert not Path("x.png").exists()
    assert cli("inspect", "raw.gsz", "--latents", "x.gif").code == 2


def test_bit_maps_have_latents_by_level(made: bytes) -> None:
    """What the primitives of a cell take of its latents is the same for all of them."""
    found, levels = codec.bit_map(made), codec.latents(made)
    assert list(found.levels) == [level.depth for level in levels]
    size = sum(8 * len(s.data) for s in unpack(made).streams if s.attribute is Attribute.LATENT)
    assert found.bits[Attribute.LATENT].sum(dtype=float) == pytest.approx(size, abs=64)
    names = [f"latent_{level.depth}" for level in levels]
    assert Attribute.LATENT not in found.shared
    assert [n for n in found.sums() if n.startswith("latent")] == names
    for level in levels:
        bits = found.levels[level.depth]
        assert (bits > 0).all()
        assert len(np.unique(bits)) <= len(level.cells)
    page = bit_map_html(found, "a.gsz").decode()
    assert all(f"latent {level.depth}" in page for level in levels)
