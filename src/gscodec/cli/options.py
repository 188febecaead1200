"""Options that several commands share."""

from __future__ import annotations

import math
from typing import Annotated, TypeAlias

import typer

from gscodec.errors import UsageError

Output: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--output",
        metavar="PATH",
        help="File to write, - for stdout, or DIR/ to write into; default: the input's name "
        "with the other suffix.",
    ),
]
Overwrite: TypeAlias = Annotated[
    bool, typer.Option("--overwrite", help="Replace the output if it exists.")
]
SkipExisting: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--skip-existing",
        help="Leave out scenes whose output exists: goes on with an interrupted run.",
    ),
]
AtOnce: TypeAlias = Annotated[
    int,
    typer.Option(
        "--jobs",
        "-j",
        metavar="N",
        min=1,
        max=256,
        help="Of several scenes, how many to work on at once; each takes memory.",
    ),
]
AllowOutside: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--allow-outside",
        help="Read photographs and parts of a checkpoint also where their names or links lead "
        "out of their folder.",
    ),
]
ForceViews: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--force-views",
        help="Go on with views that do not fit the scene, as if in another space; else refused.",
    ),
]
Threads: TypeAlias = Annotated[
    int | None,
    typer.Option("--threads", metavar="N", min=1, max=1024, help="CPU threads; default: all."),
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

MOST_VIEWS = 10**6

Effort: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--effort",
        metavar="instant|fast|high",
        help="fast: code the values as they are. high: also change them, through renders, "
        "so that they cost less and show the same; takes minutes. instant, of method hemgs: "
        "seconds, somewhat larger, needs no torch. Default: fast.",
    ),
]
Iterations: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--iterations",
        metavar="N",
        min=1,
        max=10**8,
        help="Of effort high. Default: 1500.",
    ),
]
TimeLimit: TypeAlias = Annotated[
    str | None,
    typer.Option("--time-limit", metavar="TIME", help="For effort high, about: 90s, 10m, 1h."),
]


def check_of_views(views: str | None, *, images: str | None, force_views: bool) -> None:
    """Refuses what says something of views where none are given.

    Raises:
        UsageError: Naming the option.
    """
    for flag, given in (("--images", images is not None), ("--force-views", force_views)):
        if given and views is None:
            raise UsageError(f"{flag}: needs --views")


def check_psnr(least: float | None) -> None:
    """Refuses a --min-psnr that no PSNR is below.

    Raises:
        UsageError: It is no number.
    """
    if least is not None and math.isnan(least):
        raise UsageError("--min-psnr: found nan, expected a number")
