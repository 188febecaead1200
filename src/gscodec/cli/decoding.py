"""``gscodec decode``: a .gsz -> a .ply of Gaussians, or a checkpoint folder of anchors."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated

import typer

from gscodec.cli.batch import Manner, run, threads_each
from gscodec.cli.decoder import Decoding
from gscodec.cli.effort import memory_limit
from gscodec.cli.jobs import jobs_of
from gscodec.cli.options import (
    AllowOutside,
    AtOnce,
    ForceViews,
    Json,
    MaxMemory,
    Overwrite,
    Quiet,
    SkipExisting,
    Threads,
    Verbose,
    check_of_views,
)
from gscodec.cli.session import limit_threads
from gscodec.errors import UsageError


def decode(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="IN.gsz... [OUT]", help="Coded scenes, - for stdin."),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="PATH",
            help="File to write, .ply, .spz, .splat, .ksplat, .compressed.ply or .sog, - for a "
            ".ply on stdout, or DIR/ to write into; of anchors the folder to write. Default: the "
            "input's name with .decoded.ply, of anchors with .decoded, instead of .gsz.",
            rich_help_panel="Output",
        ),
    ] = None,
    overwrite: Overwrite = False,
    replace_source: Annotated[
        bool,
        typer.Option(
            "--replace-source",
            help="Replace the output even if it is the original that IN.gsz was made from.",
            rich_help_panel="Output",
        ),
    ] = False,
    bake: Annotated[
        bool,
        typer.Option(
            "--bake",
            help="Turn anchors into Gaussians that look nearly the same, for any viewer of "
            "3DGS: OUT is a .ply. Takes minutes.",
            rich_help_panel="Baking",
        ),
    ] = False,
    views: Annotated[
        str | None,
        typer.Option(
            "--views",
            metavar="PATH",
            help="For --bake: cameras to look through, a file or a data set's folder. "
            "Default: virtual cameras.",
            rich_help_panel="Views",
        ),
    ] = None,
    images: Annotated[
        str | None,
        typer.Option(
            "--images",
            metavar="DIR",
            help="Folder of the photographs of --views, for their sizes.",
            rich_help_panel="Views",
        ),
    ] = None,
    allow_outside: AllowOutside = False,
    force_views: ForceViews = False,
    skip_existing: SkipExisting = False,
    at_once: AtOnce = 1,
    threads: Threads = None,
    max_memory: MaxMemory = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """Give scenes back: IN.gsz -> OUT.ply, or OUT, a checkpoint folder."""
    jobs = jobs_of(sources, output, lambda path: not path.lower().endswith(".gsz"))
    threads = threads_each(threads, at_once, len(jobs))
    limit_threads(threads)
    _check_options(bake=bake, views=views, images=images, force_views=force_views)
    recipe = Decoding(
        bake=bake,
        views=views,
        images=images,
        allow_outside=allow_outside,
        force_views=force_views,
        overwrite=overwrite,
        skip_existing=skip_existing,
        replace_source=replace_source,
        threads=threads,
        max_memory=memory_limit(max_memory),
    )
    run(recipe, jobs, Manner(quiet, verbose, as_json, at_once))


def _check_options(
    *, bake: bool, views: str | None, images: str | None, force_views: bool
) -> None:
    """Refuses what makes no sense whatever the file holds."""
    if views is not None and not bake:
        raise UsageError("--views: needs --bake")
    check_of_views(views, images=images, force_views=force_views)
    for name in ("numba", "torch"):
        if bake and find_spec(name) is None:
            raise UsageError(f"--bake: needs {name}; pip install 'gscodec[encode]'")
