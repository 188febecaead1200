"""What `encode` takes for effort high: sizes, times, views, and the state of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import gscodec
from gscodec.cli.effort import StateFile, check_method_looks, parse_bytes, parse_seconds
from gscodec.errors import InputError, UsageError
from scenes import make_scene

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("10m", 600), ("1.5h", 5400), (" 2 M ", 120)]
)
def test_times_are_read_as_people_write_them(text: str, seconds: float) -> None:
    """Seconds unless said otherwise."""
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("5000", 5000),
        ("800kB", 800_000),
        ("8MB", 8_000_000),
        ("1.5MiB", 1_572_864),
        ("1g", 10**9),
    ],
)
def test_sizes_are_read_as_people_write_them(text: str, size: int) -> None:
    """Decimal units unless they say that they are binary."""
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "0", "-5s", "ten", "5 days", "nan", "1e3"])
def test_other_times_are_refused(text: str) -> None:
    """By name of the option, with what was found."""
    with pytest.raises(UsageError, match="--time-limit: found"):
        parse_seconds(text)


def test_state_lies_beside_the_output_until_it_is_done(tmp_path: Path) -> None:
    """It is written as a whole, read on resume, and removed in the end."""
    target = str(tmp_path / "scene.gsz")
    with pytest.raises(InputError, match=r"scene\.gsz\.state"):
        StateFile(target, resume=True).options()
    save = StateFile(target, resume=False).options()["checkpoint"]
    assert callable(save)
    save(b"state")
    state = StateFile(target, resume=True)
    assert state.options()["resume"] == b"state"
    state.remove()
    assert not list(tmp_path.iterdir())
    with pytest.raises(UsageError, match="--resume: needs an output file"):
        StateFile("-", resume=True)


def test_views_need_a_method_that_looks() -> None:
    """Method raw does not."""
    with pytest.raises(UsageError, match="--views: method raw has no such option"):
        check_method_looks("raw")


def test_combinations_that_make_no_sense(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 2, one line, and nothing written."""
    from gscodec.cli import main

    source = tmp_path / "scene.ply"
    source.write_bytes(gscodec.write_ply(make_scene(5, 0)))
    for args, message in (
        (("--images", "x"), "--images: needs --views"),
        (("--force-views",), "--force-views: needs --views"),
        (("--resume",), "--resume: only effort high and --tiles have it"),
        (
            ("--lambda", "1e-3", "--target-psnr", "40"),
            "--lambda and --target-psnr: each chooses",
        ),
        (("--iterations", "5"), "iterations: only effort high has it"),
        (("--target-size", "big"), "--target-size: found 'big'"),
    ):
        monkeypatch.setattr("sys.argv", ["gscodec", "encode", str(source), *args])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [source]
