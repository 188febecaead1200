"""Options that several commands share."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from gscodec.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable


def words(*known: str) -> Callable[[], list[str]]:
    """What a shell may complete an option's value to."""
    return lambda: list(known)


Output: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--output",
        metavar="PATH",
        help="File to write, - for stdout, or DIR/ to write into; default: the input's name "
        "with the other suffix.",
        rich_help_panel="Output",
    ),
]
Place: TypeAlias = Annotated[
    str | None, typer.Argument(metavar="[OUT]", help="What to write, as with -o.")
]
Overwrite: TypeAlias = Annotated[
    bool,
    typer.Option(
        "-f", "--overwrite", help="Replace the output if it exists.", rich_help_panel="Output"
    ),
]
SkipExisting: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--skip-existing",
        help="Leave out scenes whose output exists: goes on with an interrupted run.",
        rich_help_panel="Several scenes",
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
        help="Of several scenes, how many to work on at once; each takes memory. Default: 1.",
        rich_help_panel="Several scenes",
    ),
]
AllowOutside: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--allow-outside",
        help="Read photographs and parts of a checkpoint also where their names or links lead "
        "out of their folder.",
        rich_help_panel="Views",
    ),
]
Background: TypeAlias = Annotated[
    str, typer.Option("--background", metavar="R,G,B", help="Behind the Gaussians, 0 to 1.")
]
ForceViews: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--force-views",
        help="Go on with views that do not fit the scene, as if in another space; else refused.",
        rich_help_panel="Views",
    ),
]
Threads: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--threads",
        metavar="N",
        min=1,
        max=1024,
        help="CPU threads of each scene. Default: all, shared by those at work at once.",
        rich_help_panel="Run",
    ),
]
MaxMemory: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--max-memory",
        metavar="SIZE",
        help="What may be used: 6GB, 800MB. Larger scenes are kept in scratch files beside the "
        "output. Default: four fifths of the machine.",
        rich_help_panel="Run",
    ),
]
Tiles: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--tiles",
        metavar="auto|N",
        help="Code the scene in so many runs, each kept on the disk once it is done: an "
        "interrupted run goes on with --resume. Changes no byte of the file.",
        rich_help_panel="Run",
    ),
]
Workers: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--workers",
        metavar="N|ray|ray://HOST:PORT",
        help="Who codes tiles: N processes, or a cluster of Ray (of this machine alone: ray). "
        "Changes no byte of the file. Default: this process.",
        rich_help_panel="Run",
    ),
]
Quiet: TypeAlias = Annotated[
    bool,
    typer.Option("-q", "--quiet", help="Print nothing but errors.", rich_help_panel="Run"),
]
Verbose: TypeAlias = Annotated[
    bool,
    typer.Option(
        "-v",
        "--verbose",
        help="Tell more: versions, settings, hashes; of several scenes, each in full.",
        rich_help_panel="Run",
    ),
]
Json: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Report as JSON, a line for each scene, on stdout (on stderr where data goes to "
        "stdout).",
        rich_help_panel="Run",
    ),
]

MOST_VIEWS = 10**6

Effort: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--effort",
        metavar="instant|fast|high",
        help="fast: leave out what shows less than its bits are worth, code the rest as it is. "
        "high: also change values, through renders, so that they cost less and show the same; "
        "takes minutes. instant, of method hemgs: seconds, larger, needs no torch. "
        "Default: fast.",
        rich_help_panel="Effort",
        autocompletion=words("instant", "fast", "high"),
    ),
]
Iterations: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--iterations",
        metavar="N",
        min=1,
        max=10**8,
        help="Of effort high. Default: 1500; 600 for Gaussians without photographs.",
        rich_help_panel="Effort",
    ),
]
TimeLimit: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--time-limit",
        metavar="TIME",
        help="For effort high, about: 90s, 10m, 1h.",
        rich_help_panel="Effort",
    ),
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


def parse_background(text: str) -> tuple[float, float, float]:
    """The colour of --background.

    Raises:
        UsageError: It is none.
    """
    try:
        red, green, blue = (float(word) for word in text.split(","))
    except ValueError:
        red = green = blue = math.nan
    if not all(0 <= value <= 1 for value in (red, green, blue)):
        raise UsageError(f"--background: found {text!r}, expected R,G,B of 0 to 1: 1,1,1")
    return red, green, blue
