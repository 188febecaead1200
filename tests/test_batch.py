"""Several scenes in one run: order of the outputs, errors, interruptions, and what is told."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import gscodec
from failing_recipe import Recipe
from gscodec.cli.batch import threads_each
from gscodec.cli.crew import Stage, crew
from gscodec.cli.failures import Failure, worst
from gscodec.cli.forecast import bytes_of
from gscodec.cli.jobs import Job
from gscodec.cli.plans import encoding
from gscodec.fit.options import QUALITIES
from gscodec.footprint import of_encoding
from gscodec.report.summary import Summary
from scenes import make_scene

if TYPE_CHECKING:
    from command import Cli

RAW = ("--method", "raw")
TABLE = Path(__file__).parent.parent / "docs/quality.json"
MEASURED = [row for row in json.loads(TABLE.read_text()) if "gscodec" in row["codec"]]
MESH = (
    b"ply\nformat ascii 1.0\nelement vertex 0\nproperty float x\nelement face 0\n"
    b"property list uchar int vertex_indices\nend_header\n"
)


@pytest.fixture
def scenes(tmp_path: Path) -> list[Path]:
    """a.ply, b.ply and c.ply, of which b is no scene."""
    paths = [tmp_path / f"{name}.ply" for name in "abc"]
    for seed, path in enumerate(paths):
        path.write_bytes(gscodec.write_ply(make_scene(30, 0, seed)))
    paths[1].write_text("hello")
    return paths


def names(folder: str) -> list[str]:
    """What is in a folder, hidden files too."""
    return sorted(path.name for path in Path(folder).iterdir())


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_it_goes_on_after_an_error(cli: Cli, scenes: list[Path], jobs: str) -> None:
    """All others are written; the code is that of the broken one, which is one line."""
    run = cli("encode", *scenes, "-o", "out", *RAW, "--jobs", jobs)
    assert run.code == 3
    assert names("out") == ["a.gsz", "c.gsz"]
    errors = [line for line in run.err.splitlines() if line.startswith("gscodec: error")]
    assert errors == [
        f"gscodec: error: {scenes[1]}: found b'hello', expected a .ply starting with b'ply'"
    ]
    assert "3 scenes: 2 done, 1 failed\n" in run.err
    assert "\x1b" not in run.err


def test_quiet_tells_errors_alone(cli: Cli, scenes: list[Path]) -> None:
    """One line for each."""
    run = cli("encode", *scenes, "-o", "out/", *RAW, "-q")
    assert run.err.count("\n") == 1
    assert run.out == b""


def test_json_is_a_line_for_each_scene(cli: Cli, scenes: list[Path]) -> None:
    """Done, failed or skipped, with what programs need."""
    cli("encode", scenes[0], "-o", "out/", *RAW)
    run = cli("encode", *scenes, "-o", "out", *RAW, "--json", "--skip-existing")
    told = {Path(line["input"]).name: line for line in map(json.loads, run.out.splitlines())}
    assert {name: line["status"] for name, line in told.items()} == {
        "a.ply": "skipped",
        "b.ply": "failed",
        "c.ply": "done",
    }
    for line in told.values():
        assert (line["schema"], line["tool"]) == (1, f"gscodec {gscodec.__version__}")
    assert told["b.ply"]["error"]["code"] == run.code == 3
    assert told["b.ply"]["error"]["kind"] == "SceneError"
    written = Path("out/c.gsz").read_bytes()
    assert told["c.ply"]["output_sha256"] == hashlib.sha256(written).hexdigest()
    assert told["c.ply"]["psnr"] is None  # exact


def test_json_tells_of_the_only_failure(cli: Cli, scenes: list[Path]) -> None:
    """On stdout, and on stderr where data would have gone to stdout."""
    run = cli("encode", scenes[1], *RAW, "--json", "-q")
    assert json.loads(run.out)["error"]["code"] == run.code == 3
    data = cli("encode", scenes[1], "-o", "-", *RAW, "--json", "-q")
    assert data.out == b""
    assert json.loads(data.err.splitlines()[0])["status"] == "failed"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("encode", "a.ply", "--target-psnr", "40dB"), "'--target-psnr'"),
        (("encode", "a.ply", "--bogus"), "No such option: --bogus"),
        (("encode", "a.ply", "-19"), "-19: there are no levels"),
        (("decode",), "Missing argument"),
        (("inspect", "a.gsz", "--bogus"), "No such option: --bogus"),
        (("verify", "a.gsz", "--threads", "none"), "'--threads'"),
    ],
)
def test_json_tells_of_what_cannot_be_parsed(
    cli: Cli, args: tuple[str, ...], words: str
) -> None:
    """Where the report would have been, as of every other error."""
    run = cli(*args, "--json")
    assert run.code == 2
    told = json.loads(run.out)
    assert (told["status"], told["command"], told["schema"]) == ("failed", args[0], 1)
    assert (told["error"]["code"], told["error"]["kind"]) == (2, "UsageError")
    assert words in told["error"]["message"]
    assert words in run.err
    to_stdout = cli(*args, "-o", "-", "--json")
    assert to_stdout.out == b"" or args[0] not in {"encode", "decode"}


def test_notes_are_data(cli: Cli, scenes: list[Path]) -> None:
    """Code, numbers and text; what is changed apart from what is only told."""
    ply = scenes[0].read_bytes().replace(b"property float nz", b"property float zz")
    scenes[0].write_bytes(ply)
    for flag, code, changed in (
        ((), "extras-dropped", True),
        (
            ("--keep-extra",),
            "extras-kept",
            False,
        ),
    ):
        run = cli("encode", scenes[0], "-o", "x.gsz", *RAW, "--json", "--overwrite", *flag)
        note = json.loads(run.out)["notes"][0]
        assert (note["code"], note["changed"]) == (code, changed)
        assert note["numbers"] == {"properties": 3}
        assert f"  {'changed' if changed else 'note   '}   {note['text']}\n" in run.err


def test_existing_outputs_are_left_alone(cli: Cli, scenes: list[Path]) -> None:
    """With --skip-existing; without, each is an error of its own."""
    Path("out").mkdir()
    Path("out/a.gsz").write_bytes(b"old")
    refused = cli("encode", scenes[0], scenes[2], "-o", "out", *RAW)
    assert refused.code == 6
    assert "out/a.gsz: exists already; replace it with --overwrite" in refused.err
    again = cli("encode", scenes[0], scenes[2], "-o", "out", *RAW, "--skip-existing")
    assert again.code == 0
    assert "2 scenes: 2 skipped" in again.err
    alone = cli("encode", scenes[0], "-o", "out/", *RAW, "--skip-existing")
    assert (alone.code, "out/a.gsz: exists already, skipped" in alone.err) == (0, True)
    assert Path("out/a.gsz").read_bytes() == b"old"


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (("a.ply", "c.ply", "-o", "b.ply"), 6, "b.ply: is a file, expected a folder"),
        (("a.ply", "-o", "b.ply/"), 6, "b.ply/: is a file, expected a folder"),
        (("a.ply", "d/a.ply", "-o", "out"), 2, "a.ply and d/a.ply: both would be written to"),
        (("a.ply", "a.ply"), 2, "a.ply: is given twice"),
        (("a.ply", "c.ply", "both.gsz"), 6, "both.gsz: is a file, expected a folder"),
        (("a.ply", "scene.small"), 2, "scene.small: is no file to be read"),
        (("a.ply", "c.ply", "-o", "b.ply/"), 6, "b.ply/: is a file, expected a folder"),
        (("a.ply", "c.ply", "-"), 2, "2 scenes: found -, expected files"),
        (("a.ply", "c.ply", "-o", "-"), 2, "2 scenes: found -, expected files"),
        (("a.ply", "-", "-o", "out"), 2, "2 scenes: found -, expected files"),
        (("a.ply", "c.ply", "-o", "no/out"), 6, "no/out: cannot be made"),
        (("-", "-o", "out/"), 2, "out/: is a folder, and stdin has no name"),
    ],
)
def test_what_is_refused_before_the_work(
    cli: Cli, scenes: list[Path], args: tuple[str, ...], code: int, message: str
) -> None:
    """One line, and nothing written."""
    Path("d").mkdir()
    Path("d/a.ply").write_bytes(scenes[0].read_bytes())
    run = cli("encode", *args, *RAW, "-q")
    assert run.code == code
    assert message in run.err
    assert run.err.count("\n") == 1
    assert names(".") == ["a.ply", "b.ply", "c.ply", "d"]


def test_outputs_without_option(cli: Cli, scenes: list[Path]) -> None:
    """The second of two paths, if it cannot be a scene; a folder that is or is named as one."""
    assert cli("encode", "a.ply", "x.gsz", *RAW).code == 0
    assert cli("encode", "a.ply", "-", *RAW).out == Path("x.gsz").read_bytes()
    assert cli("encode", "a.ply", "new/", *RAW).code == 0
    assert cli("encode", scenes[2], "-o", "new", *RAW).code == 0
    Path("there").mkdir()
    assert cli("encode", "a.ply", "c.ply", "there", *RAW).code == 0
    assert cli("encode", "a.ply", "c.ply", "made/", *RAW).code == 0
    assert names("there") == names("made") == ["a.gsz", "c.gsz"]
    assert cli("decode", "x.gsz", "x.ply").code == 0
    assert cli("decode", "x.gsz", "new/").code == 0
    assert names("new") == ["a.gsz", "c.gsz", "x.ply"]
    back = cli("decode", "new/a.gsz", "new/c.gsz", "-o", "plys")
    assert back.code == 0
    assert names("plys") == ["a.ply", "c.ply"]
    assert Path("plys/c.ply").read_bytes() == scenes[2].read_bytes()


def test_a_dry_run_writes_nothing(cli: Cli, scenes: list[Path]) -> None:
    """It tells what would be written, what would be left alone, and what would be refused."""
    scenes[1].write_bytes(scenes[0].read_bytes())
    Path("c.gsz").write_bytes(b"")
    run = cli("encode", *scenes, "missing.ply", "-n", "--skip-existing", "--json")
    assert run.code == 6
    assert "c.gsz: exists already, would be skipped" in run.err
    assert "2 scenes: about " in run.err
    told = [json.loads(line) for line in run.out.splitlines()]
    assert [line["status"] for line in told] == ["planned", "planned", "skipped", "failed"]
    assert told[0]["forecast"]["primitives"] == 30
    into = cli("encode", scenes[0], "-o", "new/", "-n", *RAW)
    assert (into.code, "a.ply -> new/a.gsz: about 30 Gaussians, " in into.err) == (0, True)
    assert cli("encode", "-", "-o", "x.gsz", "-n").code == 2
    assert cli("encode", scenes[0], "-o", "no/new.gsz", "-n").code == 6
    assert names(".") == ["a.ply", "b.ply", "c.gsz", "c.ply"]


def test_a_link_to_a_scene_is_a_scene(cli: Cli, scenes: list[Path]) -> None:
    """With a name, and so a file, of its own; what leads nowhere is one error of many."""
    Path("latest.ply").symlink_to(scenes[0])
    Path("gone.ply").symlink_to("nowhere")
    run = cli("encode", "latest.ply", scenes[0], "gone.ply", scenes[2], "-o", "out", *RAW)
    assert (run.code, names("out")) == (6, ["a.gsz", "c.gsz", "latest.gsz"])
    assert run.err.count("gscodec: error: ") == 1


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.txt", b"hello\n", "found b'hello\\n', expected a .ply"),
        ("a.ply", b"", "found an empty file, expected a .ply"),
        ("cut.ply", gscodec.write_ply(make_scene(30, 0))[:-1], "cut.ply: truncated: found"),
        ("cut.ply", b"ply\nformat ascii 1.0\n", "no line 'end_header'"),
        ("mesh.ply", MESH, "this is a mesh .ply; train a 3DGS scene from it first"),
        ("a.gsz", gscodec.encode(make_scene(3, 0), "raw"), "it is encoded already"),
    ],
)
def test_a_dry_run_refuses_what_the_start_of_a_file_tells(
    cli: Cli, name: str, data: bytes, message: str
) -> None:
    """In the words of the run that would be."""
    Path(name).write_bytes(data)
    dry = cli("encode", name, "-o", "x.gsz", "-n")
    assert (dry.code, message in dry.err) == (3, True)
    assert dry.err == cli("encode", name, "-o", "x.gsz", "-q").err


def test_a_dry_run_refuses_a_folder_without_a_scene(cli: Cli) -> None:
    """In the words of the run that would be."""
    Path("empty").mkdir()
    dry = cli("encode", "empty", "-n")
    assert (dry.code, "found no point_cloud.ply" in dry.err) == (3, True)
    assert dry.err == cli("encode", "empty", "-q").err


def test_a_forecast_is_within_a_factor_of_two(cli: Cli) -> None:
    """Of bytes of the bundled scene."""
    scene = Path(__file__).parent.parent / "examples" / "mic-small" / "scene.ply"
    run = cli("encode", scene, "-o", "x.gsz", "-n", *RAW, "--json", "-q")
    guess = json.loads(run.out)["forecast"]
    assert guess["primitives"] == 18_998
    assert cli("encode", scene, "-o", "x.gsz", *RAW, "-q").code == 0
    assert 0.5 < Path("x.gsz").stat().st_size / guess["bytes"] < 2


@pytest.mark.parametrize("row", MEASURED, ids=lambda row: f"{row['scene']} {row['codec']}")
def test_forecasts_of_bytes_are_within_a_factor_of_two(row: dict[str, Any]) -> None:
    """Of what docs/quality.md has measured: by lambda, by effort, and by PSNR."""
    quality = row["codec"].removeprefix("gscodec ")
    options: list[dict[str, Any]] = [{"effort": "instant"}]
    if quality in QUALITIES:
        options = [{"lam": QUALITIES[quality]}, {"target_psnr": row["psnr"]}]
    for given in options:
        assert 0.5 < bytes_of(row["gaussians"], given) / row["bytes"] < 2


def test_forecasts_of_small_scenes() -> None:
    """Their files are mostly networks and notes; little is learned, and little memory taken."""
    assert 0.5 < bytes_of(300, {"effort": "instant"}) / 5233 < 2
    assert 0.5 < bytes_of(300, {}) / 4945 < 2
    seconds = [
        sum(step.seconds for step in encoding("hemgs", {"effort": "instant"}, count))
        for count in (300, 18_998, 69_593, 250_000, 1_043_895)
    ]
    for guess, measured in zip(seconds, (2.1, 3.4, 8.4, 11.5, 51.0), strict=True):
        assert 0.5 < guess / measured < 2
    memory = of_encoding(300, 3, "hemgs", "instant", 1).in_memory
    assert 0.5 < memory / 92e6 < 2


def test_interrupted_and_taken_up_again(tmp_path: Path) -> None:
    """What is finished stays, nothing is half-written, and the rest is done the second time."""
    for seed in range(12):
        scene = gscodec.write_ply(make_scene(30, 0, seed))
        (tmp_path / f"{seed:02}.ply").write_bytes(scene)
    sources = sorted(path.name for path in tmp_path.iterdir())
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from gscodec.cli import main\nif __name__ == '__main__': main()"
    )
    args = [sys.executable, "-c", code, "encode", *sources, "-o", "out", *RAW, "--jobs", "2"]
    out = tmp_path / "out"
    with subprocess.Popen(args, cwd=tmp_path, stderr=subprocess.PIPE) as process:
        while not out.exists() or not list(out.glob("*.gsz")):
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert process.stderr is not None
        said = process.stderr.read().decode()
    assert "Traceback" not in said
    assert said.endswith(
        "of 12 scenes are done; go on with the same command and --skip-existing\n"
    )
    first = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    assert first
    assert all(name.endswith(".gsz") for name in first)
    done = subprocess.run([*args, "--skip-existing"], cwd=tmp_path, check=False)
    assert done.returncode == 0
    second = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    assert sorted(second) == [f"{name[:2]}.gsz" for name in sources]
    assert {name: second[name] for name in first} == first


def test_no_process_outlives_its_parent(tmp_path: Path) -> None:
    """Killed without a warning: those at work end as well."""
    code = (
        "import os, signal\nfrom failing_recipe import Recipe\n"
        "from gscodec.cli.crew import crew\nfrom gscodec.cli.jobs import Job\n"
        "for _ in crew(Recipe(), [Job('a'), Job('b')], 1):\n"
        "    import multiprocessing\n"
        "    print(multiprocessing.active_children()[0].pid, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    path = os.pathsep.join(sys.path)
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        check=False,
    )
    child = int(result.stdout)
    for _ in range(400):
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{child}/stat").read_text().split()[2] == "Z":  # nobody reaps it here
            return
        time.sleep(0.05)
    pytest.fail("it is still there")


def test_a_process_that_dies_fails_its_scene_alone() -> None:
    """With words for what happened to it; so do bugs. Scenes are told in the order they end in."""
    sources = ["a", "killed", "b", "exits", "fails", "bug", "c"]
    last: dict[str, object] = {}
    for number, told in crew(Recipe(), [Job(source) for source in sources], 2):
        if not isinstance(told, Stage):
            assert sources[number] not in last
            last[sources[number]] = told
    assert {name for name, told in last.items() if isinstance(told, Summary)} == {"a", "b", "c"}
    failures = {name: told for name, told in last.items() if isinstance(told, Failure)}
    assert {name: failure.code for name, failure in failures.items()} == {
        "killed": 1,
        "exits": 1,
        "fails": 3,
        "bug": 1,
    }
    assert "perhaps for want of memory" in failures["killed"].message
    assert "exit code 9" in failures["exits"].message
    assert "unexpected ZeroDivisionError" in failures["bug"].message


def test_the_worst_code() -> None:
    """A bug is worse than anything."""
    assert worst([]) == 0
    assert worst([3, 6, 2]) == 6
    assert worst([3, 1, 7]) == 1


def test_threads_are_shared() -> None:
    """Unless they are given, and where there are several at once."""
    processors = os.cpu_count() or 1
    assert threads_each(None, 1, 500) is None
    assert threads_each(None, 4, 1) is None
    assert threads_each(3, 4, 500) == 3
    assert threads_each(None, 2 * processors, 500) == 1
