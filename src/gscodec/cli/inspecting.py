"""``gscodec inspect``: what is in files; one in full, several with a line each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gscodec.cli.bit_maps import check_maps, check_sheet, write_maps, write_sheet
from gscodec.cli.options import Overwrite, Quiet
from gscodec.cli.several import each
from gscodec.disk.files import named, read_coded
from gscodec.errors import UsageError

if TYPE_CHECKING:
    from gscodec.container import Inspection


def inspect(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="IN.gsz...",
            help="Coded scenes, - for stdin; of several, each has a line.",
        ),
    ],
    maps: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="PATH",
            help="Decode the file and write where in space its bits are: a picture, .png, or a "
            "page to turn it in, .html. May be repeated.",
        ),
    ] = None,
    latents: Annotated[
        str | None,
        typer.Option(
            "--latents",
            metavar="PNG",
            help="Of method ralhe: write its latents by level and channel as a picture.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="JSON instead of tables, one line for each.", rich_help_panel="Run"
        ),
    ] = False,
) -> None:
    """Show what is in a file and what each part of it costs; checks every checksum."""
    for option, wanted in (("--map", maps), ("--latents", latents)):
        if wanted and len(sources) > 1:
            raise UsageError(f"{option}: found {len(sources)} files, expected one")
    check_maps(sources[0], maps or (), overwrite=overwrite)
    if latents is not None:
        check_sheet(sources[0], latents, overwrite=overwrite)
    found: dict[str, Inspection] = {}

    def look(source: str) -> None:
        from gscodec.container import inspect as inspect_bytes

        data = read_coded(source)
        with named(source):
            inspection = inspect_bytes(data)
            if maps:
                write_maps(source, data, maps, overwrite=overwrite, quiet=quiet)
            if latents is not None:
                write_sheet(source, data, latents, overwrite=overwrite, quiet=quiet)
        if as_json:
            _report(source, inspection)
        elif not quiet:
            found[source] = inspection

    try:
        each("inspect", sources, look, as_json=as_json)
    finally:
        if found:
            _show(found, full=len(sources) == 1)


def _report(source: str, inspection: Inspection) -> None:
    from gscodec.cli.outcome import report

    report({"command": "inspect", "status": "done", "input": source, **inspection.to_json()})


def _show(found: dict[str, Inspection], *, full: bool) -> None:
    from gscodec.cli.tables import print_tables
    from gscodec.report.inspection import inspection_tables, overview

    if full:
        (name, inspection), *_ = found.items()
        print_tables(inspection_tables(name, inspection))
    else:
        print_tables([overview(found)])
