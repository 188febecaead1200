"""``gscodec man``: the manual page, from what ``--help`` is made of.

Source of the markup: man(7), "An.man" macros; every text is escaped, so none is markup.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gscodec._version import __version__
from gscodec.cli.help import groups_of, usage
from gscodec.disk.files import write_stdout

if TYPE_CHECKING:
    from collections.abc import Iterator

_ENVIRONMENT = {
    "GSCODEC_DEBUG": "1 shows the traceback of an error.",
    "XDG_CACHE_HOME": "Where compiled kernels are kept, in the folder gscodec. Default: ~/.cache.",
}


def man() -> None:
    """Print the manual page: gscodec man | man -l -."""
    write_stdout(page().encode("ascii"))


def page() -> str:
    """The page as roff."""
    import typer

    from gscodec.cli.app import app
    from gscodec.cli.commands import COMMANDS, load

    program: Any = typer.main.get_command(app)
    context = program.make_context("gscodec", [], resilient_parsing=True)
    lines = [
        f'.TH GSCODEC 1 "" "gscodec {__version__}" "User Commands"',
        ".SH NAME",
        f"gscodec \\- {_text(program.help)}",
        ".SH SYNOPSIS",
        *_command_line("gscodec", ["COMMAND", "[ARGUMENTS]", "[OPTIONS]"]),
        ".SH OPTIONS",
        *_groups(program, context),
        ".SH COMMANDS",
    ]
    for name, entry in COMMANDS.items():
        command: Any = load(name)
        lines += [f".SS {name}", *_command_line(f"gscodec {name}", usage(command)), ".PP"]
        lines += [_text(part) for part in (command.help or "").split("\n\n")]
        lines += _groups(command, command.make_context(name, [], resilient_parsing=True))
        if entry.examples:
            lines += [".PP", ".I Examples", ".PP", ".nf", ".RS"]
            lines += [*map(_text, entry.examples), ".RE", ".fi"]
    lines += [".SH EXIT STATUS", _text(program.epilog), ".SH ENVIRONMENT"]
    lines += _definitions(_ENVIRONMENT.items())
    return "\n".join(lines) + "\n"


def _command_line(name: str, pieces: list[str]) -> Iterator[str]:
    yield f".B {_text(name)}"
    yield _text(" ".join(pieces))


def _groups(command: Any, context: Any) -> Iterator[str]:
    for title, rows in groups_of(command, context).items():
        yield ".PP"
        yield f".I {_text(title)}"
        yield from _definitions(rows)


def _definitions(rows: Any) -> Iterator[str]:
    for name, text in rows:
        yield ".TP"
        yield f".B {_text(name.strip())}"
        yield _text(text)


def _text(text: str) -> str:
    """One line that shows ``text`` as it is."""
    line = " ".join(text.split()).replace("\\", "\\e").replace("-", "\\-")
    line = line.encode("ascii", "replace").decode("ascii")
    return f"\\&{line}" if line.startswith((".", "'")) else line
