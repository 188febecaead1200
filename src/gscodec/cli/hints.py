"""What people type who know other programs, and what it is called here."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from gscodec.errors import UsageError
from gscodec.report.text import printable

_NUMBER = re.compile(r"\d+(\.\d+)?")
_RATE = re.compile(rf"({_NUMBER.pattern}|low|medium|high|best)")
_QUALITY = "--quality low|medium|high|best, --target-psnr DB, --target-size SIZE or --lambda"
_EFFORT = "--effort instant|fast|high"
# Of zstd, gzip, cjxl, ffmpeg, tar and cp.
_HABITS = {
    "-y": "replacing the output is -f or --overwrite",
    "-i": "the input needs no option",
    "-d": "decoding is 'gscodec decode'",
    "-t": "testing is 'gscodec verify'",
    "-l": "listing is 'gscodec inspect'",
    "-k": "the input is always kept",
    "-e": f"the effort is {_EFFORT}",
    "-Q": f"quality is {_QUALITY}",
    "-T": "threads are --threads N",
    "-p": "several at once are --jobs N",
    "-r": "of a folder, name the scenes in it: DIR/*.ply",
    "-v": "encode and decode tell more with it; the version is 'gscodec --version'",
    "-V": "the version is 'gscodec --version'",
}
_COMMANDS = {
    "compress": "encode",
    "convert": "encode",
    "decompress": "decode",
    "info": "inspect",
    "show": "inspect",
    "test": "verify",
    "check": "verify",
    "diff": "compare",
}


def check_habits(command: Any, args: list[str]) -> None:
    """Refuses options that ``command`` lacks and other programs have.

    Raises:
        UsageError: With what they are called here.
    """
    known = {name for parameter in command.params for name in parameter.opts}
    values = {
        name
        for parameter in command.params
        if not getattr(parameter, "is_flag", False)
        for name in parameter.opts
    }
    before = ""
    for arg in args:
        if arg == "--":
            return
        if before not in values:
            _check_habit(arg, before, known)
        before = arg


def _check_habit(arg: str, before: str, known: set[str]) -> None:
    if arg.startswith("-") and arg not in {"-", *known} and _is_file(arg):
        shown = printable(arg)
        raise UsageError(f"{shown}: names that start with - are options; the file is ./{shown}")
    rates = "--quality" in known
    meant = before == "-q" and _RATE.fullmatch(arg) and not _is_file(arg)
    if "-q" in known and (meant or re.fullmatch(rf"-q{_RATE.pattern}", arg)):
        told = f"; quality is {_QUALITY}" if rates else ""
        raise UsageError(f"-q: is --quiet, and takes no value{told}")
    if re.fullmatch(r"-\d+", arg):
        told = f"; there are {_EFFORT}, and {_QUALITY}" if rates else ""
        raise UsageError(f"{arg}: there are no levels{told}")
    short = arg[:2]
    if short in _HABITS and short not in known and not arg.startswith("--"):
        raise UsageError(f"{short}: no such option; {_HABITS[short]}")


def _is_file(name: str) -> bool:
    with suppress(OSError):  # a name that is too long
        return Path(name).exists()
    return False


def effort_hint(effort: str) -> str:
    """More on an effort that is none of those there are."""
    if not _NUMBER.fullmatch(effort):
        return ""
    return "; levels have names: instant takes seconds, fast about a minute, high many minutes"


def quality_hint(quality: str) -> str:
    """More on a quality that is none of those there are."""
    if not _NUMBER.fullmatch(quality):
        return ""
    return "; numbers are for --target-psnr, in dB, --lambda and --target-size"


def of_command(name: str, near: str | None) -> str:
    """The error about a command that is none of those there are."""
    shown = printable(name)
    if name in {"help", "version"}:
        told = "gscodec COMMAND --help" if name == "help" else "gscodec --version"
        return f"{name}: no such command; it is an option: '{told}'"
    if meant := _COMMANDS.get(name.lower(), near):
        return f"{shown}: no such command; did you mean 'gscodec {meant}'?"
    path = Path(name)
    if path.suffix.lower() == ".gsz":
        return (
            f"{shown}: no such command; 'gscodec decode {shown}' or 'gscodec inspect {shown}'?"
        )
    if path.suffix or path.exists():
        return f"{shown}: no such command; 'gscodec encode {shown}'?"
    return f"{shown}: no such command; 'gscodec --help' lists them"
