"""--help, hints for habits from other programs, verify, and inspect of several files."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import gscodec
from gscodec.cli.commands import COMMANDS, load
from gscodec.errors import GscodecError
from scenes import make_scene

if TYPE_CHECKING:
    from command import Cli

RAW = ("--method", "raw")


@pytest.fixture
def scenes(cli: Cli, tmp_path: Path) -> list[str]:
    """a.ply and b.ply, and a.gsz and b.gsz."""
    for seed, name in enumerate("ab"):
        ply = gscodec.write_ply(make_scene(30, 0, seed), comments=("made by hand",))
        (tmp_path / f"{name}.ply").write_bytes(ply)
    assert cli("encode", "a.ply", "b.ply", *RAW).code == 0
    return ["a.gsz", "b.gsz"]


@pytest.mark.parametrize("width", ["80", "120", "200"])
@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits(cli: Cli, monkeypatch: pytest.MonkeyPatch, command: str, width: str) -> None:
    """Into the terminal, with a hanging indent, and without breaking a name."""
    monkeypatch.setenv("COLUMNS", width)
    text = cli(*([command] if command else []), "--help").text
    lines = text.splitlines()
    assert max(map(len, lines)) <= int(width)
    assert "predict-\n" not in text
    if command == "encode":
        assert max(map(len, lines)) > 0.9 * int(width)
    if command:
        assert lines[0].startswith(f"Usage: gscodec {command} ")
        assert "Examples:" in lines
        assert "Run:" in lines or command == "man"


def test_exit_codes_are_those_of_errors_and_of_the_page(cli: Cli) -> None:
    """In --help, in docs/commands.md, and in the classes of errors."""
    shown = cli("--help").text.partition("Exit codes: ")[2]
    told = {int(code) for code in re.findall(r"(\d+)\s+[a-z]", shown)}
    page = (Path(__file__).parent.parent / "docs/commands.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| (\d[\d, ]*) \|", page.partition("## Exit codes")[2], re.MULTILINE)
    assert told == {int(code) for row in table for code in row.split(",")}
    assert told > {error.exit_code for error in GscodecError.__subclasses__()} | {130, 143}


def test_examples_are_right() -> None:
    """They parse, as far as that can be known without their files."""
    for name, entry in COMMANDS.items():
        command = load(name)
        for line in entry.examples:
            program, called, *args = line.split()
            assert (program, called) == ("gscodec", name)
            command.make_context(name, args)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("encode", "a.ply", "-q", "90"), "-q: is --quiet, and takes no value; quality is"),
        (("encode", "a.ply", "-q90"), "-q: is --quiet"),
        (("decode", "a.gsz", "-q", "3"), "-q: is --quiet, and takes no value\n"),
        (("encode", "a.ply", "-q", "high"), "-q: is --quiet, and takes no value; quality is"),
        (("encode", "-V"), "-V: no such option; the version is 'gscodec --version'"),
        (("inspect", "-v", "a.gsz"), "-v: no such option; encode and decode tell more"),
        (("-v",), "the version is 'gscodec --version'"),
        (("-d", "a.gsz"), "-d: no such option; decoding is 'gscodec decode'"),
        (("encode", "a.ply", "--quality", "90"), "numbers are for --target-psnr"),
        (
            ("encode", "a.ply", "--effort", "7"),
            "found '7', expected one of instant, fast, high",
        ),
        (("encode", "-19", "a.ply"), "-19: there are no levels"),
        (("encode", "-y", "a.ply"), "-y: no such option; replacing the output is -f"),
        (("encode", "-T4", "a.ply"), "threads are --threads N"),
        (("a.ply",), "'gscodec encode a.ply'?"),
        (("a.gsz",), "'gscodec decode a.gsz' or 'gscodec inspect a.gsz'?"),
        (("compress", "a.ply"), "did you mean 'gscodec encode'?"),
        (("help",), "'gscodec COMMAND --help'"),
        (("version",), "'gscodec --version'"),
        (("comparo", "a.ply"), "did you mean 'gscodec compare'?"),
    ],
)
def test_habits_are_answered(cli: Cli, args: tuple[str, ...], message: str) -> None:
    """Exit code 2 and one line with what it is called here."""
    run = cli(*args)
    assert run.code == 2
    assert message in run.err
    assert run.err.count("\n") == 1


def test_a_file_whose_name_is_like_an_option(cli: Cli, scenes: list[str]) -> None:
    """As a shell's *.ply gives it."""
    del scenes
    Path("a.ply").rename("-dash.ply")
    run = cli("encode", "-dash.ply", "b.ply", "-o", "out/", *RAW)
    assert (run.code, run.err.count("\n")) == (2, 1)
    assert "-dash.ply: names that start with - are options; the file is ./-dash.ply" in run.err
    for args in (("./-dash.ply", "-f"), ("-f", "--", "-dash.ply")):
        assert cli("encode", *RAW, *args).code == 0
    assert Path("-dash.gsz").exists()


@pytest.mark.parametrize("command", ["decode", "inspect", "verify"])
def test_a_scene_in_place_of_a_coded_one(cli: Cli, scenes: list[str], command: str) -> None:
    """One line, in which the file is named once."""
    del scenes
    run = cli(command, "a.ply", "-q")
    assert (run.code, run.err) == (
        4,
        "gscodec: error: a.ply: expected a .gsz file, found a .ply file; encode it first\n",
    )


def test_a_folder_of_scenes_is_not_a_checkpoint(cli: Cli, scenes: list[str]) -> None:
    """The files in it are what to name."""
    del scenes
    run = cli("encode", ".", "-o", "out/", *RAW)
    assert (run.code, "./*.ply" in run.err) == (3, True)


def test_short_names(cli: Cli, scenes: list[str]) -> None:
    """-V, -f, -v, -j."""
    assert cli("-V").text == f"gscodec {gscodec.__version__}\n"
    assert cli("encode", "a.ply", *RAW).code == 6
    run = cli("encode", "a.ply", *RAW, "-f", "-v")
    assert run.code == 0
    digest = hashlib.sha256(Path(scenes[0]).read_bytes()).hexdigest()
    assert f"  SHA-256   {digest}\n" in run.err
    assert f"  versions  gscodec {gscodec.__version__}, Python " in run.err


def test_outputs_of_cameras(cli: Cli, scenes: list[str]) -> None:
    """IN OUT as well as -o, and into folders, old and new."""
    del scenes
    pytest.importorskip("numba")
    few = ("--count", "2", "--size", "40x30", "-q")
    for args, name in (
        (("a.ply",), "a.cameras.json"),
        (("a.ply", "b.json"), "b.json"),
        (("a.ply", "-o", "new/"), "new/a.cameras.json"),
        (("b.ply", "new"), "new/b.cameras.json"),
    ):
        assert cli("cameras", *args, *few).code == 0
        assert len(json.loads(Path(name).read_text())) == 2
    both = cli("cameras", "a.ply", "c.json", "-o", "d.json", *few)
    assert (both.code, "c.json: found -o d.json too; name the output once" in both.err) == (
        2,
        True,
    )


def test_inspect_of_several(cli: Cli, scenes: list[str]) -> None:
    """A line each, and errors on stderr; the code is that of the worst."""
    Path("bad.gsz").write_bytes(b"bad")
    run = cli("inspect", *scenes, "bad.gsz")
    assert run.code == 4
    assert run.err.startswith("gscodec: error: bad.gsz: ")
    lines = run.text.splitlines()
    assert [line.split()[0] for line in lines[2:4]] == scenes
    size = sum(Path(name).stat().st_size for name in scenes)
    assert lines[-1].split() == ["2", "files", f"{size:,}"]
    told = [
        json.loads(line)
        for line in cli("inspect", *scenes, "bad.gsz", "--json").out.splitlines()
    ]
    assert [line["status"] for line in told] == ["done", "done", "failed"]
    assert cli("inspect", *scenes, "--map", "x.html").code == 2
    for args in (scenes, scenes[:1]):
        quiet = cli("inspect", *args, "-q")
        assert (quiet.code, quiet.out, quiet.err) == (0, b"", "")
    quiet = cli("inspect", "bad.gsz", "-q")
    assert (quiet.code, quiet.err.count("\n")) == (4, 1)


def test_verify(cli: Cli, scenes: list[str]) -> None:
    """Sound files, damaged ones, and ones of another source."""
    run = cli("verify", *scenes)
    assert (run.code, run.err) == (0, "")  # whose stages these would be, nobody could tell
    assert run.text.splitlines()[0] == "a.gsz: ok, 30 Gaussians, method raw"
    assert cli("verify", *scenes, "--source", ".").text.count("made from its source") == 2
    other = cli("verify", "a.gsz", "--source", "b.ply", "-q")
    assert (other.code, other.out) == (7, b"")
    assert "a.gsz: was made from another scene than b.ply: SHA-256" in other.err
    data = bytearray(Path("b.gsz").read_bytes())
    data[len(data) // 2] ^= 1
    Path("b.gsz").write_bytes(data)
    damaged = cli("verify", *scenes, "--json", "-q")
    assert damaged.code == 4
    assert [json.loads(line)["status"] for line in damaged.out.splitlines()] == [
        "done",
        "failed",
    ]
    assert cli("verify", "a.gsz", "b.gsz", "--source", "a.ply").code == 2


def test_sources_are_found_by_their_names(cli: Cli, scenes: list[str]) -> None:
    """Also by one that no terminal should see; a file without one says so."""
    Path("a.ply").rename("a\nb.ply")
    assert cli("encode", "a\nb.ply", "-o", "c.gsz", *RAW).code == 0
    assert cli("verify", "c.gsz", "--source", ".").code == 0
    assert cli("encode", "b.ply", "-o", "c.gsz", "-f", "--strip", *RAW).code == 0
    run = cli("verify", "c.gsz", scenes[1], "--source", ".")
    assert run.code == 2
    assert "c.gsz: does not say the name of its source; name it" in run.err
    assert run.text.count("made from its source") == 1


def test_strip(cli: Cli, scenes: list[str]) -> None:
    """Neither name nor comments, and a note on these; the source is still known by its hash."""
    assert b"made by hand" in Path(scenes[0]).read_bytes()
    run = cli("encode", "a.ply", *RAW, "-f", "--strip")
    assert "  changed   left out 1 comments\n" in run.err
    data = Path(scenes[0]).read_bytes()
    assert b"made by hand" not in data
    assert b"a.ply" not in data
    assert cli("verify", "a.gsz", "--source", "a.ply").code == 0


def test_completion(tmp_path: Path) -> None:
    """Commands, options, and the words that an option takes."""

    def complete(line: str) -> list[str]:
        words = line.split(" ")
        env = {
            **os.environ,
            "_GSCODEC_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - 1),
        }
        run = subprocess.run(
            [sys.executable, "-m", "gscodec"],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            check=False,
        )
        return run.stdout.decode().split()

    assert complete("gscodec ver") == ["verify"]
    assert "--skip-existing" in complete("gscodec encode --sk")
    assert complete("gscodec encode a.ply --effort f") == ["fast"]
    assert complete("gscodec encode a.ply --method h") == ["hac", "hemgs"]
