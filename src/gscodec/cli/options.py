"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

Output: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--output",
        metavar="PATH",
        help="File to write, - for stdout; default: the input's name with the other suffix.",
    ),
]
Overwrite: TypeAlias = Annotated[
    bool, typer.Option("--overwrite", help="Replace the output if it exists.")
]
Threads: TypeAlias = Annotated[
    int | None,
    typer.Option("--threads", metavar="N", min=1, help="CPU threads; default: all."),
]
Quiet: TypeAlias = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")
]
Json: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--json", help="Report as JSON on stdout (on stderr where data goes to stdout)."
    ),
]
