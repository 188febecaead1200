"""How like its source an encoded scene looks: measured, said, stored, and asked for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

import gscodec
from gscodec.codec import encode_with_report
from gscodec.errors import UsageError, VerifyError
from gscodec.fit.options import QUALITIES, Options
from gscodec.report.quality import quality_in_words
from quick import set_defaults
from scenes import make_scene

if TYPE_CHECKING:
    from pathlib import Path

    from command import Cli
    from gscodec.codec import Encoded
    from gscodec.scene import GaussianScene

DEFAULT = "high"


@pytest.fixture(scope="module")
def source() -> GaussianScene:
    return make_scene(300, 1, seed=3)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    set_defaults(monkeypatch, training=4, raw_below=0)


@pytest.fixture
def encoded(source: GaussianScene) -> Encoded:
    return encode_with_report(source, "hac")


def test_quality_is_that_of_renders(source: GaussianScene, encoded: Encoded) -> None:
    """Mean and worst PSNR of what decoding gives, over the encoder's views, clipped."""
    from gscodec.fit.views import choose_views
    from gscodec.render.quality import psnr
    from gscodec.render.scene import render

    decoded = gscodec.decode(encoded.data)
    cameras = choose_views(source, None, "fast").cameras
    found = [
        psnr(np.clip(render(source, c), 0, 1), np.clip(render(decoded, c), 0, 1))
        for c in cameras
    ]
    assert encoded.report["quality"] == {
        "mean_psnr": pytest.approx(np.mean(found), abs=0.006),
        "worst_psnr": pytest.approx(min(found), abs=0.006),
        "views": len(cameras),
    }


def test_quality_is_in_the_file(encoded: Encoded, cli: Cli, tmp_path: Path) -> None:
    """`inspect` shows what the encoder measured."""
    assert gscodec.inspect(encoded.data).meta["quality"] == encoded.report["quality"]
    (tmp_path / "x.gsz").write_bytes(encoded.data)
    shown = cli("inspect", "x.gsz").text
    assert "quality" in shown
    assert "mean psnr" in shown


def test_what_was_not_looked_at_is_not_measured(source: GaussianScene) -> None:
    """Rather than left out, or guessed."""
    unseen = encode_with_report(source, "hac", verify=False)
    assert unseen.report["quality"] == {"not_measured": "verification is off"}
    assert encode_with_report(source, "raw").report["quality"] == {"exact": True}


def test_notes_that_are_no_json_are_refused_before_the_work(source: GaussianScene) -> None:
    def work(*_: object) -> None:
        pytest.fail("there was work")

    with pytest.raises(UsageError, match="meta: cannot be written as JSON"):
        encode_with_report(source, "raw", meta={"a": object()}, progress=work)


def test_without_a_renderer_nothing_is_measured(
    source: GaussianScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a wanted quality is then not met."""
    monkeypatch.setattr("gscodec.likeness.find_spec", lambda _: None)
    found = encode_with_report(source, "hac").report["quality"]
    assert isinstance(found, dict)
    assert "no renderer" in str(found["not_measured"])
    with pytest.raises(VerifyError, match="not measured, there is no renderer"):
        encode_with_report(source, "hac", min_psnr=10.0)


def test_too_low_a_quality_fails(cli: Cli, source: GaussianScene, tmp_path: Path) -> None:
    """Exit code 7, the numbers, and no file."""
    (tmp_path / "a.ply").write_bytes(gscodec.write_ply(source))
    failed = cli("encode", "a.ply", "--min-psnr", "99")
    assert failed.code == 7
    assert "expected at least 99 dB" in failed.err
    assert not (tmp_path / "a.gsz").exists()
    done = cli("encode", "a.ply", "--min-psnr", "5", "--json")
    assert done.code == 0
    assert json.loads(done.out)["report"]["quality"]["mean_psnr"] > 5
    assert " dB on average over " in done.err
    assert (
        cli("encode", "a.ply", "--overwrite", "--method", "raw", "--min-psnr", "99").code == 0
    )


def test_names_of_qualities_are_lambdas(
    cli: Cli, source: GaussianScene, tmp_path: Path
) -> None:
    """From small to good; the default is one of them."""
    assert list(QUALITIES.values()) == sorted(QUALITIES.values(), reverse=True)
    assert Options().lam == QUALITIES[DEFAULT]
    (tmp_path / "a.ply").write_bytes(gscodec.write_ply(source))
    for name in ("low", "best"):
        done = cli("encode", "a.ply", "-o", f"{name}.gsz", "--quality", name, "--json")
        assert json.loads(done.out)["report"]["settings"]["lambda"] == QUALITIES[name]
    assert (tmp_path / "low.gsz").stat().st_size < (tmp_path / "best.gsz").stat().st_size


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--quality", "90"), "--quality: found '90', expected one of low, medium, high, best"),
        (("--quality", "low", "--lambda", "1e-3"), "--lambda and --quality: each chooses"),
        (("--quality", "low", "--target-size", "9kB"), "--quality and --target-size: each"),
        (("--min-psnr", "40", "--no-verify"), "--min-psnr: nothing is measured"),
        (("--min-psnr", "40", "--effort", "instant"), "--min-psnr: effort instant looks at no"),
    ],
)
def test_wishes_that_exclude_each_other(
    cli: Cli, tmp_path: Path, args: tuple[str, ...], message: str
) -> None:
    """Exit code 2 before any work."""
    (tmp_path / "a.ply").write_bytes(b"never read")
    result = cli("encode", "a.ply", *args)
    assert (result.code, message in result.err) == (2, True), result.err


def test_quality_in_words() -> None:
    """For people who do not know decibels."""
    measured = {"mean_psnr": 44.0, "worst_psnr": 41.0, "views": 24}
    assert quality_in_words(measured).startswith("looks like the source: 44.0 dB on average")
    assert "damaged" in quality_in_words({**measured, "mean_psnr": 12.0, "worst_psnr": -1.0})
    one_bad = quality_in_words({**measured, "mean_psnr": 70.0, "worst_psnr": 16.7})
    assert one_bad.startswith("visibly damaged in some views: 70.0 dB on average")
    assert quality_in_words({"not_measured": "a\x1b"}) == "not measured: a\\x1b"
    assert quality_in_words({"exact": True}).startswith("exact")
