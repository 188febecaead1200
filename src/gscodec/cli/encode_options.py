"""Options of ``gscodec encode`` that no other command has."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

from gscodec.cli.options import words
from gscodec.methods import DEFAULT, choices

_MAX_SEED = 2**32 - 1
_OUTPUT, _QUALITY, _EFFORT, _VIEWS, _SCENE = "Output", "Quality", "Effort", "Views", "Scene"

Sources: TypeAlias = Annotated[
    list[str],
    typer.Argument(
        metavar="IN... [OUT.gsz]",
        help="3DGS scenes: .ply, .spz, .splat, .ksplat, .sog, .pt or .ckpt, - for stdin; or "
        "the folders of 3DGS, Scaffold-GS or HAC trainings.",
    ),
]
Method: TypeAlias = Annotated[
    str,
    typer.Option(
        "--method",
        metavar="|".join(choices()),
        help=" ".join(f"{name}: {about}." for name, about in choices().items())
        + f" Default: {DEFAULT}.",
        rich_help_panel=_QUALITY,
        show_default=False,
        autocompletion=words(*choices()),
    ),
]
Quality: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--quality",
        metavar="low|medium|high|best",
        help="A lambda by name: low is small and visibly softer, high looks like the source. "
        "Default: high.",
        rich_help_panel=_QUALITY,
        autocompletion=words("low", "medium", "high", "best"),
    ),
]
Lambda: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--lambda",
        metavar="FLOAT",
        help="Weight of bits against quality, 1e-6 to 1; larger is smaller and worse. "
        "Default: 3e-4.",
        rich_help_panel=_QUALITY,
    ),
]
TargetSize: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--target-size",
        metavar="SIZE",
        help="Find the lambda for it: 800kB, 8MB, bytes.",
        rich_help_panel=_QUALITY,
    ),
]
TargetPsnr: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--target-psnr",
        metavar="DB",
        help="Find the lambda for it, mean over the views.",
        rich_help_panel=_QUALITY,
    ),
]
MinPsnr: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--min-psnr",
        metavar="DB",
        help="Fail, and write nothing, if the mean PSNR over the views is lower.",
        rich_help_panel=_QUALITY,
    ),
]
PositionBits: TypeAlias = Annotated[
    str,
    typer.Option(
        "--position-bits",
        metavar="auto|1..21",
        help="Depth of the position lattice; auto, the default, chooses it from the scene.",
        rich_help_panel=_QUALITY,
        show_default=False,
    ),
]
MergeVoxels: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--merge-voxels",
        help="Make one Gaussian of those that share a cell of the position lattice.",
        rich_help_panel=_QUALITY,
    ),
]
KeepAll: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--keep-all",
        help="Keep also Gaussians that show less than their bits are worth.",
        rich_help_panel=_QUALITY,
    ),
]
Resume: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Go on with an interrupted effort high, from OUTPUT.state beside the output.",
        rich_help_panel=_EFFORT,
    ),
]
Device: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--device",
        metavar="auto|cpu|cuda",
        help="Where to train. Default: auto.",
        rich_help_panel=_EFFORT,
        autocompletion=words("auto", "cpu", "cuda"),
    ),
]
Seed: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--seed",
        metavar="N",
        help="Of the training. Default: 0.",
        rich_help_panel=_EFFORT,
        min=0,
        max=_MAX_SEED,
    ),
]
ViewsPath: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--views",
        metavar="PATH",
        help="Cameras to look through, a file or a data set's folder; photographs found there "
        "are what effort high aims at. Default: virtual cameras.",
        rich_help_panel=_VIEWS,
    ),
]
Images: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--images",
        metavar="DIR",
        help="Folder of the photographs of --views.",
        rich_help_panel=_VIEWS,
    ),
]
Scaling: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--scaling",
        metavar="auto|log|linear",
        help="Of a checkpoint: what scale_* are. Default: auto, which tells it from the values.",
        rich_help_panel=_SCENE,
        autocompletion=words("auto", "log", "linear"),
    ),
]
KeepExtra: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--keep-extra",
        help="Keep vertex properties unknown to 3DGS.",
        rich_help_panel=_SCENE,
    ),
]
DropInvalid: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--drop-invalid",
        help="Drop Gaussians with NaN, infinity or a rotation of zeros.",
        rich_help_panel=_SCENE,
    ),
]
Strip: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--strip",
        help="Keep neither the name of the source nor its comments, nor paths in cfg_args.",
        rich_help_panel=_OUTPUT,
    ),
]
EmbedPrior: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--embed-prior",
        help="Of method hemgs: a file that needs no networks that come with gscodec; it has its "
        "own, or holds those. A little larger, for archives.",
        rich_help_panel=_OUTPUT,
    ),
]
NoVerify: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--no-verify",
        help="Neither decode the result and compare, nor measure its quality.",
        rich_help_panel=_OUTPUT,
    ),
]
DryRun: TypeAlias = Annotated[
    bool,
    typer.Option(
        "-n",
        "--dry-run",
        help="Check everything that can be checked at the start of the scenes, and guess bytes, "
        "seconds and memory; write nothing.",
        rich_help_panel="Several scenes",
    ),
]
