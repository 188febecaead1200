"""What a bar shows: shares and times left of runs whose steps are known, and of many scenes."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

import gscodec
from anchors import small_views
from gscodec.cli.estimate import Estimate, Step
from gscodec.cli.plans import before_curves, decoding, encoding, point
from gscodec.cli.scenes_left import Scenes
from gscodec.rd import jobs, measure
from gscodec.report.rd_result import SPZ
from scenes import make_scene

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gscodec.rd import Job


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


STEPS = (Step("read", 1), Step("fit", 30), Step("code", 10), Step("write", 1))


@pytest.mark.parametrize(
    ("pace", "reports"), [(0.4, True), (1.0, True), (7.0, True), (0.8, False), (1.3, False)]
)
def test_shares_and_times_of_a_run_as_planned(pace: float, reports: bool) -> None:
    """However fast the machine is, once it is known: by the share that a step reports, or not."""
    clock = Clock()
    estimate = Estimate(clock)
    estimate.expect(STEPS)
    total, passed, before = pace * 42, 0.0, 0.0
    for step in STEPS:
        for tenth in range(10):
            estimate.hear(step.name, tenth / 10 if reports else 0.0)
            share, left = estimate.share(), estimate.left()
            assert share is not None
            assert left is not None
            assert share >= before
            before = share
            if passed > total / 3:
                assert share == pytest.approx(passed / total, abs=0.15)
                assert left == pytest.approx(total - passed, rel=0.5)
            clock.now += pace * step.seconds / 10
            passed += pace * step.seconds / 10


def test_the_bar_moves_with_the_clock_and_never_ends_early() -> None:
    """Also where a step takes ten times as long as planned and tells nothing."""
    clock = Clock()
    estimate = Estimate(clock)
    estimate.expect(STEPS)
    estimate.hear("fit", 0.0)
    shares = []
    for _ in range(300):
        clock.now += 1
        shares.append(estimate.share() or 0.0)
    assert shares == sorted(shares)
    assert len(set(shares)) > 250
    assert shares[0] >= 0.01
    assert shares[-1] <= 0.99


def test_steps_that_are_left_out_and_stages_that_are_unknown() -> None:
    """The first is passed by, the second belongs to the step at work."""
    estimate = Estimate(Clock())
    estimate.expect(STEPS)
    estimate.hear("read", 0.0)
    estimate.hear("surprise", 0.5)
    assert estimate.told() == "1/4 surprise"
    estimate.hear("code", 0.0, "48.1 dB")
    assert estimate.told() == "3/4 code 48.1 dB"
    estimate.hear("fit", 0.0)  # it does not go back
    assert estimate.told() == "3/4 fit"


def test_without_a_plan() -> None:
    """There is the share of the stage, which stands neither at 0 nor at 1, and no time left."""
    estimate = Estimate(Clock())
    estimate.hear("render", 0.4)
    assert (estimate.share(), estimate.left(), estimate.told()) == (0.4, None, "render")
    estimate.hear("render", 1.0)
    assert estimate.share() == 0.99
    estimate.hear("match", 0.0)
    assert estimate.share() is None


def test_a_plan_that_grows() -> None:
    """Less is done then, and the new steps are gone through as the others are."""
    clock = Clock()
    estimate = Estimate(clock)
    estimate.extend(STEPS[:1])
    estimate.hear(STEPS[0].name, 0.0)
    clock.now += STEPS[0].seconds
    before = estimate.share() or 0.0
    estimate.extend(STEPS[1:])
    assert 0.0 < (estimate.share() or 0.0) < before
    estimate.hear("code", 0.0)
    assert estimate.told() == "3/4 code"


@pytest.mark.parametrize("method", ["raw", "hac", "hemgs", "ralhe", "predict-gs"])
@pytest.mark.parametrize("effort", ["fast", "instant", "high"])
def test_every_plan_begins_with_reading_and_ends_with_writing(method: str, effort: str) -> None:
    """More primitives take longer."""
    small, large = (encoding(method, {"effort": effort}, n) for n in (1000, 10**6))
    for plan in (small, large, decoding(1000), decoding(1000, raw=True)):
        assert plan[0].name == "read"
        assert plan[-1].name == "write"
        assert all(step.seconds > 0 for step in plan)
    assert sum(s.seconds for s in large) > sum(s.seconds for s in small)
    unchecked = encoding(method, {"effort": effort}, 1000, verify=False)
    assert {step.name for step in small} - {step.name for step in unchecked} <= {
        "look",
        "verify",
    }


def test_plans_have_the_stages_of_real_runs() -> None:
    """Of a scene that is small enough for a test; what is passed by is allowed."""
    heard: list[str] = []
    data = gscodec.encode_with_report(
        make_scene(200),
        "hemgs",
        effort="instant",
        progress=lambda stage, *_: heard.append(stage),
    ).data
    known = {step.name for step in encoding("hemgs", {"effort": "instant"}, 200)}
    assert set(heard) <= known
    assert "measure" in heard  # for nobody looks through views
    heard.clear()
    gscodec.decode(data, lambda stage, *_: heard.append(stage))
    raw = gscodec.inspect(data).header.method.name == "RAW"
    assert set(heard) <= {step.name for step in decoding(200, raw=raw)}


def test_plans_of_curves_have_the_stages_of_real_runs() -> None:
    """Those that are added for a point beyond the others, too."""
    pytest.importorskip("numba")
    heard: list[str] = []
    steps = list(before_curves(300, 3, SPZ))

    def expecting(more: Sequence[Job]) -> None:
        for job in more:
            steps.extend(point(job.name, job.method, job.options, 300, 3))

    measure(
        make_scene(300),
        jobs(("hemgs",), [0.5], {"effort": "instant", "raw_below": 0}),
        small_views().cameras,
        spz=find_spec("gaussforge") is not None,
        progress=lambda stage, *_: heard.append(stage),
        bracket=True,
        expecting=expecting,
    )
    assert set(heard) <= {step.name for step in steps}
    assert "hemgs 5e-1 fit" in heard


def test_many_scenes() -> None:
    """By their bytes; scenes at work move between two reports."""
    clock = Clock()
    scenes = Scenes([10, 30, 60], ["a/x.ply", "y.ply", "z.ply"], clock)
    assert scenes.share() == 0.01
    assert scenes.left() is None
    scenes.hear(0, "2/4 fit", 0.5, 10.0)
    clock.now += 5
    share = scenes.share()
    assert share == pytest.approx(0.075)
    assert scenes.left() == pytest.approx(5 / 0.075 * 0.925)
    assert scenes.told() == "0/3 x.ply: 2/4 fit"
    scenes.finish(0)
    scenes.hear(1, "1/4 read", 0.0, None)
    assert scenes.share() == pytest.approx(0.1)
    assert scenes.told() == "1/3 y.ply: 1/4 read"


@pytest.mark.parametrize("columns", [80, 140])
def test_the_bar_fits_into_a_terminal(tmp_path: Path, columns: int) -> None:
    """With the scene's name, the step, the share and the time; it is gone in the end."""
    name = "a scene with quite a long name, longer than is good.ply"
    (tmp_path / name).write_bytes(gscodec.write_ply(make_scene(3000)))
    master, slave = pty.openpty()
    code = (
        "import time\nfrom gscodec.codec import encode_with_report as real\n"
        "import gscodec.codec as c\n"
        "def slow(*a, **k):\n    time.sleep(0.4)\n    return real(*a, **k)\n"
        "c.encode_with_report = slow\nfrom gscodec.cli import main; main()"
    )
    subprocess.run(
        [sys.executable, "-c", code, "encode", name, "x.gsz", "--method", "raw"],
        cwd=tmp_path,
        stderr=slave,
        env={**os.environ, "TERM": "xterm", "COLUMNS": str(columns)},
        check=True,
    )
    os.close(slave)
    shown = b""
    try:
        while part := os.read(master, 100_000):
            shown += part
    except OSError:  # the other end is closed
        pass
    os.close(master)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    bars = [line for line in re.split(r"[\r\n]+", text) if "left" in line and " % " in line]
    assert bars
    assert all(len(line) <= columns for line in bars)
    assert all(
        re.search(r"a scene.* \d+(\.\d)? % \d:\d\d, \d:\d\d left", line) for line in bars
    )
    if columns == 140:
        assert any("1/4 read" in line for line in bars)
    assert shown.count(b"\x1b[?25l") == shown.count(b"\x1b[?25h")
