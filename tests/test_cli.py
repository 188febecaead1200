"""The command line: exit codes, messages, streams, and what is left on disk."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import fuzzing
import gscodec
from command import Result
from gscodec import codec, methods
from gscodec.cli.commands import COMMANDS, Command, load
from gscodec.container import pack, unpack
from gscodec.errors import FormatError
from gscodec.scene import ExtraProperty
from scenes import make_scene

if TYPE_CHECKING:
    from collections.abc import Callable

    from command import Cli

ROOT = Path(__file__).parent.parent
MANUAL = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
MESH = """\
ply
format ascii 1.0
element vertex 0
property float x
element face 0
property list uchar int i
end_header
"""
# A shell may start background jobs with SIGINT ignored; these tests need the usual handler.
RUN_MAIN = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    "{}\nfrom gscodec.cli import main; main()"
)


@pytest.fixture(scope="session")
def ply() -> bytes:
    """A scene of 60 Gaussians."""
    return gscodec.write_ply(make_scene(60))


@pytest.fixture(scope="session")
def gsz(ply: bytes) -> bytes:
    """The same scene, coded without loss."""
    return gscodec.encode(gscodec.read_ply(ply).scene, "raw")


@pytest.fixture
def scene(tmp_path: Path, ply: bytes) -> Path:
    """scene.ply in the folder of the run."""
    path = tmp_path / "scene.ply"
    path.write_bytes(ply)
    return path


@pytest.fixture
def coded(tmp_path: Path, gsz: bytes) -> Path:
    """coded.gsz in the folder of the run."""
    path = tmp_path / "coded.gsz"
    path.write_bytes(gsz)
    return path


def python(
    *args: str, cwd: Path, stdin: bytes | None = b""
) -> subprocess.CompletedProcess[bytes]:
    """Runs another Python."""
    return subprocess.run(
        [sys.executable, *args], cwd=cwd, input=stdin, capture_output=True, check=False
    )


def names(folder: Path | None = None) -> list[str]:
    """What is in a folder, hidden files too."""
    return sorted(path.name for path in (folder or Path.cwd()).iterdir())


# --- what works ---------------------------------------------------------------------------


def test_round_trip_by_default_names(cli: Cli, scene: Path, ply: bytes) -> None:
    """Without -o, the output is beside the input, and the original stays."""
    assert cli("encode", scene, "--method", "raw").code == 0
    assert cli("decode", scene.with_suffix(".gsz")).code == 0
    assert scene.with_name("scene.decoded.ply").read_bytes() == ply
    assert names(scene.parent) == ["scene.decoded.ply", "scene.gsz", "scene.ply"]


def test_the_original_is_not_replaced(cli: Cli, scene: Path) -> None:
    """Not by --overwrite alone: it is known by its SHA-256, whatever its name."""
    cli("encode", scene, "--method", "raw")
    scene.rename("original.ply")
    for args in ((), ("--overwrite",)):
        refused = cli("decode", "scene.gsz", "-o", "original.ply", "-q", *args)
        assert refused.code == 6
        assert "original.ply: is the original that this file was made from" in refused.err
        assert "--replace-source" in refused.err
    before = Path("original.ply").stat().st_ino
    assert cli("decode", "scene.gsz", "-o", "original.ply", "--replace-source").code == 0
    assert Path("original.ply").stat().st_ino != before
    Path("other.ply").write_bytes(b"other")  # anything else is as it was
    assert cli("decode", "scene.gsz", "-o", "other.ply", "--replace-source").code == 6
    assert cli("decode", "scene.gsz", "-o", "other.ply", "--overwrite").code == 0


def test_no_temporary_files_stay(cli: Cli, scene: Path) -> None:
    """After a run there are the input and the output, nothing else."""
    cli("encode", scene, "--method", "raw")
    assert names(scene.parent) == ["scene.gsz", "scene.ply"]


def test_stdin_to_stdout(cli: Cli, ply: bytes) -> None:
    """With - on both sides stdout holds the data alone, text goes to stderr."""
    there = cli("encode", "-", "-o", "-", "--method", "raw", stdin=ply)
    back = cli("decode", "-", stdin=there.out)
    assert back.out == ply
    assert "-> -" in there.err
    assert "bytes per Gaussian" in back.err


def test_stdout_is_protected_from_prints(
    cli: Cli, gsz: bytes, ply: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A library that prints cannot damage data on stdout."""

    decode = codec.decode_unchecked

    def noisy(data: bytes, *_: object) -> tuple[object, Callable[[], None]]:
        print("Warning: something")  # noqa: T201
        return decode(data)

    monkeypatch.setattr("gscodec.codec.decode_unchecked", noisy)
    result = cli("decode", "-", "--quiet", stdin=gsz)
    assert result.out == ply
    assert result.err == "Warning: something\n"


@pytest.mark.parametrize("threads", ["1", "2"])
@pytest.mark.parametrize("target", ["x.ply", "-"])
def test_a_scene_of_another_digest_is_not_written(
    cli: Cli, tmp_path: Path, gsz: bytes, threads: str, target: str
) -> None:
    """Also where the digest is checked while the scene is written."""
    payload = unpack(gsz)
    header = replace(payload.header, scene_sha256=b"\1" * 32)
    damaged = pack(replace(payload, header=header))
    (tmp_path / "damaged.gsz").write_bytes(damaged)
    (tmp_path / "x.ply").write_bytes(b"kept")
    result = cli("decode", "damaged.gsz", "-o", target, "--overwrite", "--threads", threads)
    assert (result.code, result.out) == (4, b"")
    assert "damaged.gsz: decoded scene: SHA-256" in result.err
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["damaged.gsz", "x.ply"]
    assert (tmp_path / "x.ply").read_bytes() == b"kept"


def test_quiet_prints_nothing(cli: Cli, scene: Path) -> None:
    """--quiet: no progress, no summary."""
    assert cli("encode", scene, "--method", "raw", "--quiet") == Result(0, b"", "")


def test_summary_says_what_happened(cli: Cli, scene: Path, gsz: bytes) -> None:
    """Stages, sizes, ratio, time and memory are on stderr, without escape codes."""
    result = cli("encode", scene, "-o", "out.gsz", "--method", "raw", "--keep-extra")
    assert result.out == b""
    for stage in ("read", "code", "verify", "write"):
        assert f"gscodec: {stage}\n" in result.err
    size = (scene.parent / "out.gsz").stat().st_size
    assert size > len(gsz)  # source and conventions are in it
    assert f"{scene.stat().st_size:,} bytes -> {size:,} bytes" in result.err
    assert "memory" in result.err
    assert "\x1b" not in result.err


def test_notes_are_shown(cli: Cli, tmp_path: Path, ply: bytes) -> None:
    """What the reader dropped is a line of the summary and of the JSON report."""
    # An unknown property takes the place of the last normal.
    (tmp_path / "x.ply").write_bytes(ply.replace(b"property float nz", b"property float zz"))
    result = cli("encode", "x.ply", "--method", "raw", "--json")
    assert "  changed   dropped" in result.err
    assert any("zz" in note["text"] for note in json.loads(result.out)["notes"])


def test_json_of_encode_and_decode(cli: Cli, scene: Path) -> None:
    """--json: stdout is one JSON object with sizes, stages and the encoder's report."""
    there = json.loads(cli("encode", scene, "--method", "raw", "--json", "-q").out)
    back = json.loads(cli("decode", "scene.gsz", "-o", "b.ply", "--json", "-q").out)
    assert there["output_bytes"] == back["input_bytes"] == there["coded_bytes"]
    assert there["gaussians"] == back["gaussians"] == 60
    assert there["method"] == "raw"
    assert there["report"]["source"]["name"] == "scene.ply"
    assert set(there["stages"]) >= {"read", "write"}


def test_json_gives_way_to_data(cli: Cli, gsz: bytes, ply: bytes) -> None:
    """--json with data on stdout: the report is on stderr."""
    result = cli("decode", "-", "-o", "-", "--json", "--quiet", stdin=gsz)
    assert result.out == ply
    assert json.loads(result.err)["output"] == "-"


def test_source_folders_are_not_stored(cli: Cli, scene: Path) -> None:
    """The file remembers the name of its source, not where it was."""
    cli("encode", scene, "--method", "raw")
    data = scene.with_suffix(".gsz").read_bytes()
    assert b"scene.ply" in data
    assert scene.parent.name.encode() not in data


def test_inspect_adds_up(cli: Cli, coded: Path) -> None:
    """The bytes of the table and of the JSON add up to the size of the file."""
    size = coded.stat().st_size
    report = json.loads(cli("inspect", coded, "--json").out)
    assert sum(row["bytes"] for row in report["rows"]) == report["total_bytes"] == size
    text = cli("inspect", coded).out.decode()
    table = text[text.index("part ") :]
    column = re.findall(r"^ \S.*?\s+\d+\s+([\d,]+)\s+[\d.]+\s+[\d.]+ %$", table, re.MULTILINE)
    *parts, total = (int(cell.replace(",", "")) for cell in column)
    assert sum(parts) == total == size


def test_inspect_cannot_be_made_to_control_the_terminal(
    cli: Cli, tmp_path: Path, ply: bytes
) -> None:
    """Escape codes, bidi marks and rich markup in a file are shown, not obeyed."""
    encoded = gscodec.encode_with_report(
        gscodec.read_ply(ply).scene,
        "raw",
        meta={"source": {"na\x1b[31mme": "a\x1b]0;x\x07\u202e\nb[bold]"}, "\x9b": 1},
    )
    (tmp_path / "evil.gsz").write_bytes(encoded.data)
    text = cli("inspect", "evil.gsz").out.decode()
    assert all(c.isprintable() or c == "\n" for c in text)
    assert "a\\x1b]0;x\\x07\\u202e\\nb[bold]" in text


def test_inspect_prints_little_whatever_the_notes_are(
    cli: Cli, tmp_path: Path, ply: bytes
) -> None:
    """Long texts, long lists and many objects are cut; --json has all of them."""
    notes: dict[str, object] = {
        "a text": "x" * 100_000,
        "list": list(range(20_000)),
        **{f"object{n}": {"a": 1} for n in range(2000)},
        "wide": {str(n): n for n in range(2000)},
    }
    encoded = gscodec.encode_with_report(gscodec.read_ply(ply).scene, "raw", meta=notes)
    (tmp_path / "long.gsz").write_bytes(encoded.data)
    text = cli("inspect", "long.gsz").out.decode()
    assert len(text) < 50_000
    assert "(99,000charactersmore;allwith--json)" in "".join(text.split())
    assert "more; all with --json" in text
    found = json.loads(cli("inspect", "long.gsz", "--json").out)["meta"]
    assert {name: found[name] for name in notes} == notes


def test_inspect_tells_what_is_wrong_with_notes(cli: Cli, tmp_path: Path, coded: Path) -> None:
    """Nested too deep: the file is inspected and decoded all the same."""
    chunks = [c for c in fuzzing.split(coded.read_bytes()) if c[0] != b"meta"]
    deep = (b"meta", b'{"a":' * 10_000)
    (tmp_path / "deep.gsz").write_bytes(fuzzing.seal([chunks[0], deep, *chunks[1:]]))
    shown = cli("inspect", "deep.gsz")
    assert shown.code == 0
    assert "found 10000 levels of nesting, expected at most 32" in shown.out.decode()
    assert cli("decode", "deep.gsz", "-o", "deep.ply").code == 0


def test_names_of_extras_that_a_ply_cannot_hold_are_changed_with_a_note(
    cli: Cli, tmp_path: Path
) -> None:
    """The file is valid, so it can be decoded; who decodes it is told."""
    extra = ExtraProperty("ä", np.arange(20, dtype=np.uint8))
    scene = replace(make_scene(20, 0), extras=(extra,))
    (tmp_path / "a.gsz").write_bytes(gscodec.encode(scene, "raw"))
    run = cli("decode", "a.gsz", "-o", "a.ply")
    assert run.code == 0
    assert "renamed extra property 'ä' to u00e4" in run.err
    back = gscodec.read_ply((tmp_path / "a.ply").read_bytes(), keep_extra=True).scene
    assert back.extras[0].values.tolist() == list(range(20))


def test_comments_that_are_too_long_for_notes_are_cut(cli: Cli, tmp_path: Path) -> None:
    """Quotation marks take twice their bytes in notes; the scene is encoded all the same."""
    ply = gscodec.write_ply(make_scene(20, 0))
    comments = b"comment " + b'"' * 600_000 + b"\n"
    (tmp_path / "a.ply").write_bytes(ply.replace(b"element", comments + b"element", 1))
    run = cli("encode", "a.ply", "-o", "a.gsz", "--method", "raw")
    assert run.code == 0
    assert "cut conventions.comments.0 in the notes of the file" in run.err


def test_overwrite_replaces(cli: Cli, scene: Path, coded: Path) -> None:
    """--overwrite: the old file gives way."""
    old = coded.read_bytes()
    assert cli("encode", scene, "-o", coded, "--method", "raw", "--overwrite").code == 0
    assert coded.read_bytes() != old


def test_link_is_followed(cli: Cli, scene: Path, tmp_path: Path) -> None:
    """An output that is a link stays one; what it points to is replaced."""
    (tmp_path / "link.gsz").symlink_to("real.gsz")
    assert cli("encode", scene, "-o", "link.gsz", "--method", "raw").code == 0
    assert (tmp_path / "link.gsz").is_symlink()
    assert (tmp_path / "real.gsz").is_file()


def test_device_is_written_to(cli: Cli, scene: Path) -> None:
    """/dev/null as output is neither refused as existing nor replaced by a file."""
    assert cli("encode", scene, "-o", "/dev/null", "--method", "raw").code == 0
    assert not Path("/dev/null").is_file()


def in_one_thread(scene: Path, before: str) -> bytes:
    """What an encode with --threads 1 prints, in a process that did ``before`` first."""
    args = ["encode", scene.name, "--method", "raw", "--threads", "1"]
    result = python("-c", RUN_MAIN.format(before), *args, cwd=scene.parent)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_threads_reach_numpy(scene: Path) -> None:
    """--threads is in the environment before numpy is loaded."""
    spy = (
        "import sys\nassert 'numpy' not in sys.modules\nimport builtins\n"
        "real = builtins.__import__\n"
        "def spy(name, *a, **k):\n"
        "    if name == 'numpy': assert os.environ.get('OMP_NUM_THREADS') == '1'\n"
        "    return real(name, *a, **k)\n"
        "builtins.__import__ = spy\nos.environ.pop('OMP_NUM_THREADS', None)"
    )
    assert in_one_thread(scene, spy) == b""


def test_threads_do_not_upset_a_numba_that_runs(scene: Path) -> None:
    """Numba compiles nothing more once it has threads and the environment asks for others."""
    work = (
        "os.environ['NUMBA_NUM_THREADS'] = '2'\nimport atexit, numba\n"
        "numba.set_num_threads(2)\n"
        "@numba.njit\ndef kernel(x): return x + 1\n"
        "atexit.register(lambda: print(kernel(1), numba.get_num_threads()))"
    )
    assert in_one_thread(scene, work) == b"2 1\n"


def test_version_and_module(tmp_path: Path) -> None:
    """``python -m gscodec --version`` names the version."""
    result = python("-m", "gscodec", "--version", cwd=tmp_path)
    assert result.stdout.decode() == f"gscodec {gscodec.__version__}\n"


# --- what is refused ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--lambda", "0"), "lambda: found 0, expected 1e-06 to 1"),
        (("--lambda", "nan"), "lambda: found nan"),
        (("--position-bits", "40"), "position bits: found 40, expected 1 to 21"),
        (("--position-bits", "0"), "position bits: found 0, expected 1 to 21"),
        (
            ("--position-bits", "many"),
            "--position-bits: found 'many', expected auto or 1 to 21",
        ),
        (("--device", "tpu"), "device: found 'tpu', expected auto, cpu or cuda"),
        (("--method", "zip"), "method: found 'zip', expected one of auto, raw, hac"),
        (("--method", "raw", "--lambda", "1e-3"), "--lambda: method raw has no such option"),
        (("--method", "raw", "--quality", "low"), "--quality: method raw has no such option"),
        (("--seed", "-1"), "greater than or equal to 0"),
        (("--threads", "0"), "greater than or equal to 1"),
        (("--frobnicate",), "No such option"),
        (("-o", "scene.ply", "--overwrite"), "is the input too"),
    ],
)
def test_usage_errors(cli: Cli, scene: Path, args: tuple[str, ...], message: str) -> None:
    """Options that make no sense: exit code 2, the range, and nothing written."""
    result = cli("encode", scene, *args)
    assert result.code == 2
    assert message in result.err
    assert names(scene.parent) == ["scene.ply"]


@pytest.mark.parametrize(
    ("name", "content", "code", "message"),
    [
        ("mesh.ply", MESH, 3, "mesh"),
        ("empty.ply", "", 3, "empty"),
        ("text.ply", "hello", 3, "expected a .ply"),
    ],
)
def test_bad_scenes(cli: Cli, name: str, content: str, code: int, message: str) -> None:
    """Files that are no 3DGS scene: exit code 3 and one line that names the file."""
    Path(name).write_text(content)
    result = cli("encode", name, "--method", "raw", "--quiet")
    assert result.code == code
    assert result.err.count("\n") == 1
    assert result.err.startswith(f"gscodec: error: {name}: ")
    assert message in result.err
    assert names() == [name]


def test_nan_is_refused_or_dropped(cli: Cli, scene: Path, ply: bytes) -> None:
    """A scene with NaN: exit code 3 with the way out, which works."""
    body = ply.index(b"end_header\n") + len(b"end_header\n")
    scene.write_bytes(ply[:body] + b"\x00\x00\xc0\x7f" + ply[body + 4 :])
    refused = cli("encode", scene, "--method", "raw")
    assert refused.code == 3
    assert "--drop-invalid" in refused.err
    kept = cli("encode", scene, "--method", "raw", "--drop-invalid", "--json")
    assert json.loads(kept.out)["gaussians"] == 59


@pytest.mark.parametrize("command", ["decode", "inspect"])
@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (lambda d: d[: len(d) // 2], 4, "end of the file"),
        (lambda d: d[:900] + bytes([d[900] ^ 1]) + d[901:], 4, "damaged"),
        (lambda _: b"ply\n", 4, "a .ply file; encode it first"),
        (lambda _: b"", 4, "empty"),
        (lambda d: d[:8] + b"\x63\x00" + d[10:], 5, "version 99"),
    ],
)
def test_bad_files(
    cli: Cli,
    coded: Path,
    command: str,
    change: Callable[[bytes], bytes],
    code: int,
    message: str,
) -> None:
    """Damaged and later files: exit codes 4 and 5, one line, the file's name, no output."""
    coded.write_bytes(change(coded.read_bytes()))
    result = cli(command, "coded.gsz", *(["--quiet"] if command == "decode" else []))
    assert (result.code, result.out) == (code, b"")
    assert result.err.startswith("gscodec: error: coded.gsz: ")
    assert message in result.err
    assert result.err.count("\n") == 1
    assert names() == ["coded.gsz"]


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        ("encode", 3, "error: folder: found no point_cloud.ply, expected a model folder"),
        ("decode", 6, "error: folder: is a folder, expected a file\n"),
        ("inspect", 6, "error: folder: is a folder, expected a file\n"),
    ],
)
def test_unreadable_inputs(cli: Cli, command: str, code: int, message: str) -> None:
    """A missing file: exit code 6; so is a folder, unless it might be a checkpoint."""
    Path("folder").mkdir()
    missing, folder = cli(command, "nothing.x"), cli(command, "folder")
    assert (missing.code, folder.code) == (6, code)
    assert "error: nothing.x: cannot be read: No such file or directory\n" in missing.err
    assert message in folder.err
    assert names() == ["folder"]


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("old.gsz", "old.gsz: exists already; replace it with --overwrite"),
        ("old.gsz/", "old.gsz/: is a file, expected a folder to write into"),
        ("no/where.gsz", "no/where.gsz: there is no folder"),
        ("/dev/full", "/dev/full: cannot be written: No space left on device"),
        ("x" * 300, "cannot be written: File name too long"),
    ],
)
def test_unwritable_outputs(cli: Cli, scene: Path, output: str, message: str) -> None:
    """Outputs that cannot be: exit code 6, and everything stays as it was."""
    Path("folder").mkdir()
    Path("old.gsz").write_bytes(b"old")
    result = cli("encode", scene, "-o", output, "--method", "raw")
    assert result.code == 6
    assert message in result.err
    assert names() == ["folder", "old.gsz", "scene.ply"]
    assert Path("old.gsz").read_bytes() == b"old"


def test_outputs_are_refused_before_the_work(cli: Cli, scene: Path, coded: Path) -> None:
    """An existing output is found out before the scene is read."""
    assert "gscodec: read" not in cli("encode", scene, "-o", coded, "--method", "raw").err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_no_permission(cli: Cli, scene: Path) -> None:
    """A folder that may not be written to: exit code 6."""
    Path("locked").mkdir(mode=0o500)
    result = cli("encode", scene, "-o", "locked/a.gsz", "--method", "raw")
    assert (result.code, "no permission" in result.err) == (6, True)


def test_failed_verification(cli: Cli, scene: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An encoder that cannot decode its own file: exit code 7, nothing written."""

    def refuse(*_: object, **__: object) -> None:
        raise FormatError("damaged")

    monkeypatch.setattr("gscodec.codec.decode_unchecked", refuse)
    assert cli("encode", scene, "--method", "raw").code == 7
    assert names() == ["scene.ply"]
    assert cli("encode", scene, "--method", "raw", "--no-verify").code == 0


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ValueError("bad\x1b[2J\nnews"), 1, "unexpected ValueError: bad\\x1b[2J\\nnews; set"),
        (MemoryError(), 8, "out of memory"),
        (ModuleNotFoundError("no", name="torch"), 2, "pip install 'gscodec[encode]'"),
        (ModuleNotFoundError("no", name="other"), 1, "unexpected ModuleNotFoundError: no"),
    ],
)
def test_unexpected_errors(
    cli: Cli,
    coded: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    code: int,
    message: str,
) -> None:
    """Bugs are one line without a traceback, with the way to get it."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("gscodec.codec.decode_unchecked", fail)
    result = cli("decode", coded, "--quiet")
    assert result.code == code
    assert message in result.err
    assert result.err.count("\n") == 1
    monkeypatch.setenv("GSCODEC_DEBUG", "1")
    assert "Traceback" in cli("decode", coded, "--quiet").err


# --- signals, pipes, terminals ------------------------------------------------------------


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_signal_while_writing(scene: Path, coded: Path, name: str, code: int) -> None:
    """A signal in the middle of writing: the old file is whole, the temporary one gone."""
    old = coded.read_bytes()
    patch = f"os.fsync = lambda _: os.kill(os.getpid(), signal.{name})"
    args = ["encode", scene.name, "-o", coded.name, "--method", "raw", "--overwrite"]
    result = python("-c", RUN_MAIN.format(patch), *args, cwd=scene.parent)
    assert result.returncode == code
    assert b"Traceback" not in result.stderr
    assert coded.read_bytes() == old
    assert names(scene.parent) == ["coded.gsz", "scene.ply"]


# The system may hand a signal to any thread; the read that the first one waits in goes on then.
ANOTHER_THREAD = """import threading, time
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})"""


@pytest.mark.parametrize("before", ["", ANOTHER_THREAD], ids=["this", "another"])
def test_interrupt_while_reading(tmp_path: Path, before: str) -> None:
    """Ctrl-C while waiting for input: exit code 130, nothing on disk."""
    command = [sys.executable, "-c", RUN_MAIN.format(before), "encode", "-", "-o", "a.gsz"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        assert process.stdin is not None
        assert process.stderr.readline() == b"gscodec: read\n"
        process.stdin.write(bytes(1 << 18))  # more than a pipe holds: it is reading by now
        process.stdin.flush()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
        assert process.stderr.read() == b"gscodec: interrupted; nothing was written\n"
    assert names(tmp_path) == []


def test_reader_that_goes_away(coded: Path) -> None:
    """A closed pipe on stdout: exit code 6 and one line, not two tracebacks."""
    read, write = os.pipe()
    os.close(read)
    result = subprocess.run(
        [sys.executable, "-m", "gscodec", "inspect", coded],
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(write)
    assert result.returncode == 6
    assert result.stderr == b"gscodec: error: stdout: cannot be written: Broken pipe\n"


def test_terminal(scene: Path) -> None:
    """On a terminal there is a bar that clears itself, and data is refused."""
    master, slave = pty.openpty()
    env = {**os.environ, "TERM": "xterm"}
    command = [sys.executable, "-m", "gscodec", "encode", str(scene), "--method", "raw"]
    bar = subprocess.run(command, stderr=slave, env=env, check=False)
    shown = os.read(master, 100_000)
    data = subprocess.run(
        [*command, "-o", "-"], stdout=slave, stderr=subprocess.PIPE, check=False
    )
    os.close(slave)
    os.close(master)
    assert bar.returncode == 0
    assert b"\x1b[?25h" in shown  # the cursor is back
    assert data.returncode == 2
    assert b"stdout is a terminal" in data.stderr


# --- start-up and documents ---------------------------------------------------------------


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    """--help starts quickly because numpy, torch, rich and constriction stay away."""
    spy = (
        "import atexit\nheavy = {'numpy', 'torch', 'rich', 'constriction', 'plyfile'}\n"
        "atexit.register(lambda: print('loaded', sorted(heavy & set(sys.modules))))"
    )
    result = python("-c", RUN_MAIN.format(spy), "--help", cwd=tmp_path)
    assert result.stdout.endswith(b"loaded []\n")


@pytest.mark.parametrize("command", ["decode", "inspect"])
def test_reading_needs_no_torch(coded: Path, command: str) -> None:
    """decode and inspect work where torch cannot be imported."""
    block = "sys.modules['torch'] = None"
    result = python("-c", RUN_MAIN.format(block), command, coded.name, cwd=coded.parent)
    assert result.returncode == 0


def commands() -> dict[str, Command]:
    """Commands by name."""
    return {name: load(name) for name in COMMANDS}


def test_every_option_has_help_and_is_documented() -> None:
    """Every command and option has a help text and is in docs/commands.md."""
    for name, command in commands().items():
        assert (command.help or "").startswith(COMMANDS[name].about)
        assert f"## `gscodec {name}`" in MANUAL
        for parameter in command.params:
            option = parameter.opts[-1]
            assert parameter.help, f"{name} {option}"  # type: ignore[attr-defined]
            assert parameter.param_type_name == "argument" or f"`{option}" in MANUAL, option


def test_methods_are_documented() -> None:
    """As the registry has them, in the tables of options of both commands."""
    about = methods.choices()
    names = "\\|".join(about)
    flag = f"| `--method {names}` | "
    assert MANUAL.count(flag) == 2
    assert (
        flag + "; ".join(f"`{name}`: {text}" for name, text in about.items()) + " |" in MANUAL
    )


def test_exit_codes_are_documented() -> None:
    """The table in docs/commands.md has the code of every error class."""
    from gscodec import errors

    classes = (c for c in vars(errors).values() if isinstance(c, type))
    documented = set(re.findall(r"^\| (\d+) \|", MANUAL, re.MULTILINE))
    assert {
        str(c.exit_code) for c in classes if issubclass(c, gscodec.GscodecError)
    } <= documented


def test_defaults_in_help_are_those_of_the_method() -> None:
    """The help names the defaults of the method's options."""
    helps = {p.name: p.help or "" for p in commands()["encode"].params}  # type: ignore[attr-defined]
    defaults = methods.by_name(methods.DEFAULT).Options()
    assert defaults.lam == float(re.findall(r"Default: (\S+)\.$", helps["lam"])[0])
    assert helps["seed"].endswith(f"Default: {defaults.seed}.")
    assert helps["device"].endswith(f"Default: {defaults.device}.")
    assert defaults.position_bits is None
    assert defaults.threads is None


def test_public_names_exist() -> None:
    """Everything that gscodec promises can be had, and nothing else."""
    assert all(getattr(gscodec, name) for name in gscodec.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        gscodec.nonsense  # noqa: B018


def test_examples_run(scene: Path, coded: Path) -> None:
    """The scripts in examples/ do what they say."""
    examples = ROOT / "examples"
    trip = python(str(examples / "roundtrip.py"), str(scene), "raw", cwd=scene.parent)
    assert b"60 Gaussians" in trip.stdout
    bits = python(str(examples / "bits.py"), str(coded), cwd=scene.parent)
    assert f"{coded.stat().st_size:,}".encode() in bits.stdout.splitlines()[-1]
    assert {p.name for p in examples.glob("*.py")} == {"roundtrip.py", "bits.py"}
