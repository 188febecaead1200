"""Streams that are closed, full or broken, signals, and what is left on disk beside outputs."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import gscodec
from gscodec.cli.effort import StateFile
from gscodec.disk import atomic, files
from gscodec.disk.files import HEAD_BYTES, read_input
from gscodec.errors import InputError, OutputError
from scenes import make_scene

if TYPE_CHECKING:
    from collections.abc import Iterator

    from command import Cli

PYTHON = sys.executable
ENCODE = f"{PYTHON} -m gscodec encode scene.ply -o out.gsz --method raw"
DECODE = f"{PYTHON} -m gscodec decode coded.gsz -o -"
FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="has no /dev/full")


@pytest.fixture(scope="module")
def big() -> tuple[bytes, bytes]:
    """A .ply that no pipe takes at once, and its .gsz."""
    scene = make_scene(8000)
    return gscodec.write_ply(scene), gscodec.encode(scene, "raw")


@pytest.fixture
def folder(tmp_path: Path, big: tuple[bytes, bytes]) -> Path:
    """A folder with scene.ply and coded.gsz."""
    (tmp_path / "scene.ply").write_bytes(big[0])
    (tmp_path / "coded.gsz").write_bytes(big[1])
    return tmp_path


def shell(command: str, folder: Path, **env: str) -> subprocess.CompletedProcess[bytes]:
    """What a shell does with ``command``; the exit code is that of the first of a pipe."""
    return subprocess.run(
        ["bash", "-c", f"{command}; exit ${{PIPESTATUS[0]}}"],
        cwd=folder,
        env={**os.environ, **env},
        capture_output=True,
        check=False,
    )


# --- text for people never ends the work --------------------------------------------------


@pytest.mark.parametrize(
    "ending",
    [
        ">&-",
        "2>&-",
        ">&- 2>&- <&-",
        pytest.param("2>/dev/full", marks=FULL),
        "2>&1 | true",
        "2>&1 | head -1",
    ],
)
def test_nobody_listens(folder: Path, ending: str) -> None:
    """Stdout and stderr closed, full, or without a reader: the file is written all the same."""
    assert shell(f"{ENCODE} {ending}", folder).returncode == 0
    assert gscodec.decode((folder / "out.gsz").read_bytes())
    assert sorted(p.name for p in folder.iterdir()) == ["coded.gsz", "out.gsz", "scene.ply"]


def test_errors_keep_their_codes_where_nobody_listens(folder: Path) -> None:
    """Also those that typer finds."""
    assert shell(f"{PYTHON} -m gscodec frobnicate 2>&-", folder).returncode == 2
    assert shell(f"{PYTHON} -m gscodec decode scene.ply 2>&-", folder).returncode == 4


# --- data is complete, or the code is 6 -----------------------------------------------------


@pytest.mark.parametrize(
    ("command", "said"),
    [
        pytest.param(f"env -u PYTHONUNBUFFERED {DECODE} >/dev/full", "No space", marks=FULL),
        pytest.param(f"{DECODE} >/dev/full", "No space left on device", marks=FULL),
        (f"{DECODE} >&-", "Bad file descriptor"),
        (f"{DECODE} | head -c 100000 >/dev/null", "Broken pipe"),
        pytest.param(f"{PYTHON} -m gscodec --help >/dev/full", "No space", marks=FULL),
        (f"{PYTHON} -m gscodec inspect --help >&-", "Bad file descriptor"),
        (f"{PYTHON} -m gscodec inspect coded.gsz >&-", "Bad file descriptor"),
    ],
)
def test_stdout_takes_no_more(folder: Path, command: str, said: str) -> None:
    """One line, exit code 6, whether Python buffers or not."""
    result = shell(command, folder, PYTHONUNBUFFERED="1")
    assert result.returncode == 6
    last = result.stderr.decode().splitlines()[-1]
    assert last.startswith("gscodec: error: stdout: cannot be written: ")
    assert said in last
    assert b"Traceback" not in result.stderr


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_slow_reader_gets_every_byte(
    folder: Path, big: tuple[bytes, bytes], unbuffered: str
) -> None:
    """A pipe that does not block takes a part at a time."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    with subprocess.Popen(
        [PYTHON, "-m", "gscodec", "decode", "coded.gsz", "-o", "-"],
        cwd=folder,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        stdout=write,
        stderr=subprocess.DEVNULL,
    ) as process:
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            assert pipe.read() == big[0]
        assert process.wait() == 0


def test_closed_stdin(folder: Path) -> None:
    """Nothing to read: exit code 6, one line."""
    result = shell(f"{PYTHON} -m gscodec decode - -q -o x.ply <&-", folder)
    assert result.returncode == 6
    assert result.stderr == b"gscodec: error: stdin: cannot be read: Bad file descriptor\n"


# --- signals ----------------------------------------------------------------------------------


def interrupted(folder: Path, patch: str) -> subprocess.CompletedProcess[bytes]:
    """An encode in a process that did ``patch`` first; it may call ``stop()``."""
    code = (
        "import os, signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def stop(*_): os.kill(os.getpid(), signal.SIGINT)\n"
        f"{patch}\nfrom gscodec.cli import main; main()"
    )
    args = ["encode", "scene.ply", "-o", "out.gsz", "--method", "raw"]
    return subprocess.run(
        [PYTHON, "-c", code, *args], cwd=folder, capture_output=True, check=False
    )


@pytest.mark.parametrize("module", ["contextlib", "typer", "gscodec.cli.app", "numpy"])
def test_interrupt_while_loading(folder: Path, module: str) -> None:
    """Ctrl-C before the work begins: no traceback, exit code 130."""
    spy = (
        "import builtins; real = builtins.__import__\n"
        "def spy(name, *a, **k):\n"
        f"    if name == {module!r}: stop()\n"
        "    return real(name, *a, **k)\n"
        "builtins.__import__ = spy"
    )
    result = interrupted(folder, spy)
    assert result.returncode == 130
    assert b"Traceback" not in result.stderr
    if module != "contextlib":  # which is loaded before anything can be said
        assert result.stderr == b"gscodec: interrupted; nothing was written\n"
    assert not (folder / "out.gsz").exists()


def test_interrupt_once_the_output_is_there(folder: Path) -> None:
    """A signal that comes with the rename, or after it: the run says what is complete."""
    for patch in (
        "link = os.link\ndef slow(*a): stop(); link(*a); stop()\nos.link = slow",
        "import gscodec.cli.batch as b\nb.tell = lambda *a, **k: stop()",
    ):
        result = interrupted(folder, patch)
        assert result.returncode == 130
        assert result.stderr.splitlines()[-1] == b"gscodec: interrupted; complete: out.gsz"
        assert gscodec.decode((folder / "out.gsz").read_bytes())
        (folder / "out.gsz").unlink()
    assert sorted(p.name for p in folder.iterdir()) == ["coded.gsz", "scene.ply"]


def test_what_a_killed_run_left_is_removed(folder: Path) -> None:
    """By the next one that writes there; what a run still writes is not."""
    killed = interrupted(folder, "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)")
    assert killed.returncode == -signal.SIGKILL
    assert list(folder.glob(".gscodec-*.tmp"))
    with (
        atomic.temporary_file(folder, 0o600) as (alive, _),
        atomic.temporary_folder(folder) as f,
    ):
        assert shell(ENCODE, folder).returncode == 0
        assert sorted(folder.glob(".gscodec-*")) == sorted([alive, f])
    assert not list(folder.glob(".gscodec-*"))


def test_what_other_machines_left_is_given_a_day(folder: Path) -> None:
    """Their locks may not be seen here."""
    theirs = folder / ".gscodec-12345678-0123456789abcdef.tmp"
    theirs.write_bytes(b"x")
    atomic.remove_left_behind(folder)
    assert theirs.exists()
    os.utime(theirs, (0, 0))
    atomic.remove_left_behind(folder)
    assert not theirs.exists()


# --- outputs ------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_mode_of_what_is_replaced_is_kept(cli: Cli, folder: Path, mode: int) -> None:
    """A private file stays one; a new one has the mode that the shell asks for."""
    target = folder / "coded.gsz"
    target.chmod(mode)
    result = cli("encode", "scene.ply", "-o", "coded.gsz", "--method", "raw", "--overwrite")
    assert (result.code, stat.S_IMODE(target.stat().st_mode)) == (0, mode)
    cli("encode", "scene.ply", "-o", "new.gsz", "--method", "raw")
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE((folder / "new.gsz").stat().st_mode) == 0o666 & ~umask


@pytest.fixture(params=["links", "no links"])
def linking(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """File systems with and without hard links."""

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    if request.param == "no links":
        monkeypatch.setattr(os, "link", refuse)


@pytest.mark.usefixtures("linking")
def test_one_of_two_runs_wins(tmp_path: Path) -> None:
    """Both found the name free, and write to it at the same time."""
    start, ended = threading.Barrier(2), []

    def write(data: bytes) -> None:
        start.wait()
        try:
            atomic.write_file(tmp_path / "out", [data], "out", overwrite=False)
            ended.append(data)
        except FileExistsError:
            pass

    threads = [threading.Thread(target=write, args=(bytes([k]) * 1000,)) for k in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(tmp_path / "out").read_bytes()] == ended
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_name_that_is_taken_meanwhile(
    cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 6, and the other's file is as it was."""
    encode = gscodec.encode_with_report

    def slow(*args: object, **options: object) -> object:
        (folder / "out.gsz").write_bytes(b"other")
        return encode(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("gscodec.codec.encode_with_report", slow)
    result = cli("encode", "scene.ply", "-o", "out.gsz", "--method", "raw")
    assert result.code == 6
    assert "out.gsz: has come to exist during this run; replace it with --overw" in result.err
    assert (folder / "out.gsz").read_bytes() == b"other"


def test_state_is_checked_at_the_start(tmp_path: Path) -> None:
    """A folder in its place, or a name that is too long with it."""
    (tmp_path / "a.gsz.state").mkdir()
    with pytest.raises(OutputError, match=r"a\.gsz\.state: is a folder"):
        StateFile(str(tmp_path / "a.gsz"), resume=False)
    with pytest.raises(OutputError, match="File name too long"):
        StateFile(str(tmp_path / ("a" * 250)), resume=False)


def test_state_of_another_run_is_left_alone(cli: Cli, folder: Path) -> None:
    """What an interrupted effort high left is not for an encode that has no use for it."""
    state = folder / "out.gsz.state"
    state.write_bytes(b"hours")
    assert cli("encode", "scene.ply", "-o", "out.gsz", "--method", "raw").code == 0
    assert state.read_bytes() == b"hours"
    StateFile(str(folder / "out.gsz"), resume=False).options()


@pytest.mark.parametrize("length", [246, 251, 255])
def test_long_names(cli: Cli, folder: Path, length: int) -> None:
    """A name as long as the system allows is as good as any."""
    name = "a" * (length - 4) + ".gsz"
    assert cli("encode", "scene.ply", "-o", name, "--method", "raw").code == 0
    assert (folder / name).is_file()


@pytest.mark.parametrize(
    "args",
    [
        ("encode", ""),
        ("encode", "/"),
        ("rd", ""),
        ("rd", "/"),
        ("cameras", "/"),
        ("inspect", ""),
        ("inspect", "coded.gsz", "--map", ""),
        ("compare", "scene.ply", ""),
        ("encode", "scene.ply", "-o", ""),
        ("encode", "scene.ply", "--views", ""),
        ("encode", "scene.ply", "--target-size", "9" * 309),
        ("encode", "scene.ply", "--time-limit", "9" * 309),
        ("encode", "scene.ply", "--target-psnr", "9" * 309),
        ("encode", "scene.ply", "--lambda", "9" * 309),
        ("encode", "scene.ply", "--position-bits", "9" * 5000),
        ("encode", "scene.ply", "--threads", "9" * 30),
        ("encode", "scene.ply", "--effort", "high", "--iterations", "9" * 30),
        ("rd", "scene.ply", "--max-views", "9" * 30),
        ("encode", "scene.ply", "-o", "x.gsz", "--method", "raw", "--min-psnr", "nan"),
        ("compare", "scene.ply", "coded.gsz", "--min-psnr", "nan"),
        ("compare", "scene.ply", "coded.gsz", "--max-views", "9" * 30),
    ],
)
def test_nonsense_is_a_usage_error(cli: Cli, folder: Path, args: tuple[str, ...]) -> None:
    """Exit code 2 at once."""
    result = cli(*args)
    assert result.code == 2
    assert "gscodec: read" not in result.err
    assert sorted(p.name for p in folder.iterdir()) == ["coded.gsz", "scene.ply"]


def test_data_that_ends_early_is_no_abortion(
    cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An EOFError of a library is told as what it is."""

    def fail(*_: object) -> None:
        raise EOFError("Ran out of input")

    monkeypatch.setattr("gscodec.codec.decode_unchecked", fail)
    assert "unexpected EOFError: Ran out of input" in cli("decode", folder / "coded.gsz").err


# --- inputs -------------------------------------------------------------------------------------


@pytest.fixture
def bounded() -> Iterator[None]:
    """What reads without end fails, before the machine does."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (1 << 35, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("encode", "zero", "-o", "x.gsz"), 3),
        (("decode", "zero", "-o", "x.ply"), 4),
        (("inspect", "zero"), 4),
        (("compare", "scene.ply", "zero"), 3),
        (("cameras", "zero", "-o", "x.json"), 3),
        (("rd", "zero", "-o", "x.html"), 3),
        (("compare", "scene.ply", "scene.ply", "--views", "zero"), 3),
    ],
)
def test_endless_inputs(cli: Cli, folder: Path, args: tuple[str, ...], code: int) -> None:
    """The first bytes tell, and the rest is not read."""
    (folder / "zero").symlink_to("/dev/zero")
    assert cli(*args).code == code


@pytest.mark.parametrize("start", ["", "ply\\n"])
def test_endless_pipes(folder: Path, start: str) -> None:
    """Also where they start like a .ply."""
    zeros = f"(printf '{start}'; cat /dev/zero) | {PYTHON} -m gscodec"
    result = subprocess.run(
        ["bash", "-c", f"ulimit -v 33554432; {zeros} encode - -o x.gsz --method raw"],
        cwd=folder,
        capture_output=True,
        check=False,
    )
    assert result.returncode == 3
    assert b"error: stdin: " in result.stderr


def test_large_inputs_with_a_byte_order_mark(cli: Cli, folder: Path) -> None:
    """Larger than what tells whether the rest is worth reading."""
    many = make_scene(5000)
    data = b"\xef\xbb\xbf" + gscodec.write_ply(many)
    assert len(data) > HEAD_BYTES
    (folder / "marked.ply").write_bytes(data)
    result = cli("encode", "marked.ply", "--method", "raw")
    assert result.code == 0, result.err
    found = gscodec.decode((folder / "marked.gsz").read_bytes())
    assert found.digest() == many.digest()


def test_huge_inputs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that cannot fit in memory is not read, a pipe only so far."""
    huge = folder / "huge"
    with huge.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(InputError, match=r"huge: found more than [0-9,]+ bytes, expected"):
        read_input(str(huge))
    monkeypatch.setattr(files, "memory_bytes", lambda: 1 << 23)
    with pytest.raises(InputError, match="zero: found more than 4,194,304 bytes"):
        read_input("/dev/zero")
