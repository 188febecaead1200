"""Commands and their options; how a run starts and ends is `start`.

Strategy: human text goes to stderr; stdout belongs to data, to ``--json`` and to the tables of
``inspect``. Everything heavy is imported inside a command, after its arguments are checked.
"""

from __future__ import annotations

from typing import Annotated

import typer

from gscodec._version import __version__
from gscodec.cli.bit_maps import check_maps, write_maps
from gscodec.cli.cameras import cameras
from gscodec.cli.commands import Command, Commands
from gscodec.cli.compare import compare
from gscodec.cli.decoding import decode
from gscodec.cli.encoding import encode
from gscodec.cli.options import Overwrite
from gscodec.cli.outcome import json_bytes
from gscodec.cli.rd import rd
from gscodec.cli.view import view
from gscodec.disk.files import named, read_coded, write_stdout

app = typer.Typer(
    cls=Commands,
    name="gscodec",
    help="Small, exact, trustworthy files for trained 3D Gaussian Splatting scenes.",
    epilog=(
        "Exit codes: 0 done, 1 bug or out of memory, 2 usage, 3 scene, 4 damaged file, "
        "5 unsupported, 6 input or output, 7 verification, 130 interrupted, 143 terminated."
    ),
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
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
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Print the version and exit.",
        ),
    ] = False,
) -> None:
    pass


app.command(cls=Command)(encode)
app.command(cls=Command)(decode)


@app.command(cls=Command)
def inspect(
    source: Annotated[str, typer.Argument(metavar="IN.gsz", help="Coded scene, - for stdin.")],
    maps: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="PATH",
            help="Decode the file and write where in space its bits are: a picture, .png, or a "
            "page to turn it in, .html. May be repeated.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of tables.")] = False,
) -> None:
    """Show what is in a file and what each part of it costs; checks every checksum."""
    check_maps(source, maps or (), overwrite=overwrite)

    from gscodec.container import inspect as inspect_bytes

    data = read_coded(source)
    with named(source):
        inspection = inspect_bytes(data)
        if maps:
            write_maps(source, data, maps, overwrite=overwrite)
    if as_json:
        write_stdout(json_bytes(inspection.to_json()))
        return

    from gscodec.cli.tables import print_tables
    from gscodec.report.inspection import inspection_tables

    print_tables(inspection_tables(source, inspection))


# --- further commands, one module each ------------------------------------------------------

app.command(cls=Command)(cameras)
app.command(cls=Command)(compare)
app.command(cls=Command)(rd)
app.command(cls=Command)(view)
