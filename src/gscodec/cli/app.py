"""The program; its commands are in `commands`, how a run starts and ends is `start`.

Strategy: human text goes to stderr; stdout belongs to data, to ``--json`` and to tables.
Everything heavy is imported inside a command, after its arguments are checked.
"""

from __future__ import annotations

from typing import Annotated

import typer

from gscodec._version import __version__
from gscodec.cli.commands import Commands
from gscodec.disk.files import write_stdout

_WIDEST = 10_000  # columns; help is as wide as the terminal

app = typer.Typer(
    cls=Commands,
    name="gscodec",
    help="Small, exact, trustworthy files for trained 3D Gaussian Splatting scenes.",
    epilog=(
        "'gscodec COMMAND --help' has the options and examples. Exit codes: 0 done, 1 a bug, "
        "2 usage, 3 scene, 4 damaged file, 5 unsupported, 6 input or output, 7 verification, "
        "8 memory, 130 interrupted, 143 terminated; of several, the worst."
    ),
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": _WIDEST},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        write_stdout(f"gscodec {__version__}\n".encode())
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "-V",
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Print the version and exit.",
        ),
    ] = False,
) -> None:
    pass
