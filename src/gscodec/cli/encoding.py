"""``gscodec encode``: a scene or a checkpoint made small."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from gscodec.cli.batch import Manner, run, threads_each
from gscodec.cli.effort import check_method_looks, parse_bytes, parse_seconds
from gscodec.cli.encoder import Encoding
from gscodec.cli.jobs import is_new_folder, jobs_of
from gscodec.cli.options import (
    AllowOutside,
    AtOnce,
    Effort,
    ForceViews,
    Iterations,
    Json,
    Output,
    Overwrite,
    Quiet,
    SkipExisting,
    Threads,
    TimeLimit,
    check_of_views,
    check_psnr,
)
from gscodec.cli.session import limit_threads
from gscodec.disk.files import STDIO
from gscodec.disk.scenes import Reading
from gscodec.errors import UsageError
from gscodec.methods import DEFAULT, choices

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAX_SEED = 2**32 - 1
_FLAGS = {
    "lam": "--lambda",
    "position_bits": "--position-bits",
    "effort": "--effort",
    "iterations": "--iterations",
    "time_limit": "--time-limit",
    "target_bytes": "--target-size",
    "target_psnr": "--target-psnr",
    "device": "--device",
    "seed": "--seed",
    "embed_prior": "--embed-prior",
}


def encode(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="IN... [OUT.gsz]",
            help="3DGS scenes: .ply, .spz, .splat, .ksplat, .sog, .pt or .ckpt, - for stdin; or "
            "the folders of 3DGS, Scaffold-GS or HAC trainings.",
        ),
    ],
    output: Output = None,
    method: Annotated[
        str,
        typer.Option(
            "--method",
            metavar="|".join(choices()),
            help=" ".join(f"{name}: {about}." for name, about in choices().items()),
        ),
    ] = DEFAULT,
    lam: Annotated[
        float | None,
        typer.Option(
            "--lambda",
            metavar="FLOAT",
            help="Weight of bits against quality, 1e-6 to 1; larger is smaller and worse. "
            "Default: 3e-4.",
        ),
    ] = None,
    quality: Annotated[
        str | None,
        typer.Option(
            "--quality",
            metavar="low|medium|high|best",
            help="A lambda by name: low is small and visibly softer, high looks like the "
            "source. Default: high.",
        ),
    ] = None,
    effort: Effort = None,
    iterations: Iterations = None,
    time_limit: TimeLimit = None,
    views: Annotated[
        str | None,
        typer.Option(
            "--views",
            metavar="PATH",
            help="Cameras to look through, a file or a data set's folder; photographs found "
            "there are what effort high aims at. Default: virtual cameras.",
        ),
    ] = None,
    images: Annotated[
        str | None,
        typer.Option("--images", metavar="DIR", help="Folder of the photographs of --views."),
    ] = None,
    target_size: Annotated[
        str | None,
        typer.Option(
            "--target-size", metavar="SIZE", help="Find the lambda for it: 800kB, 8MB, bytes."
        ),
    ] = None,
    target_psnr: Annotated[
        float | None,
        typer.Option(
            "--target-psnr", metavar="DB", help="Find the lambda for it, mean over the views."
        ),
    ] = None,
    min_psnr: Annotated[
        float | None,
        typer.Option(
            "--min-psnr",
            metavar="DB",
            help="Fail, and write nothing, if the mean PSNR over the views is lower.",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with an interrupted effort high, from OUTPUT.state beside the output.",
        ),
    ] = False,
    position_bits: Annotated[
        str,
        typer.Option(
            "--position-bits",
            metavar="auto|1..21",
            help="Depth of the position lattice; auto chooses it from the scene.",
        ),
    ] = "auto",
    scaling: Annotated[
        str | None,
        typer.Option(
            "--scaling",
            metavar="auto|log|linear",
            help="Of a checkpoint: what scale_* are. Default: auto, which tells it from the "
            "values.",
        ),
    ] = None,
    keep_extra: Annotated[
        bool, typer.Option("--keep-extra", help="Keep vertex properties unknown to 3DGS.")
    ] = False,
    drop_invalid: Annotated[
        bool,
        typer.Option(
            "--drop-invalid", help="Drop Gaussians with NaN, infinity or a rotation of zeros."
        ),
    ] = False,
    allow_outside: AllowOutside = False,
    force_views: ForceViews = False,
    overwrite: Overwrite = False,
    skip_existing: SkipExisting = False,
    at_once: AtOnce = 1,
    no_verify: Annotated[
        bool,
        typer.Option(
            "--no-verify",
            help="Neither decode the result and compare, nor measure its quality.",
        ),
    ] = False,
    device: Annotated[
        str | None,
        typer.Option(
            "--device", metavar="auto|cpu|cuda", help="Where to train. Default: auto."
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed", metavar="N", min=0, max=_MAX_SEED, help="Of the training. Default: 0."
        ),
    ] = None,
    embed_prior: Annotated[
        bool,
        typer.Option(
            "--embed-prior",
            help="Of method hemgs: a file that needs no networks that come with gscodec; it has "
            "its own, or holds those. A little larger, for archives.",
        ),
    ] = False,
    threads: Threads = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Make scenes small: IN.ply, or IN, a checkpoint folder -> OUT.gsz."""
    jobs = jobs_of(sources, output, _is_output)
    threads = threads_each(threads, at_once, len(jobs))
    limit_threads(threads)
    check_psnr(min_psnr)
    if min_psnr is not None and no_verify:
        raise UsageError("--min-psnr: nothing is measured with --no-verify; leave out one")
    lam = _chosen_lambda(lam, quality, target_size, target_psnr)
    options = {
        "lam": lam,
        "effort": effort,
        "iterations": iterations,
        "time_limit": None if time_limit is None else parse_seconds(time_limit),
        "target_bytes": None if target_size is None else parse_bytes(target_size),
        "target_psnr": target_psnr,
        "position_bits": _position_bits(position_bits),
        "device": device,
        "seed": seed,
        "embed_prior": embed_prior or None,
        "threads": threads,
    }
    flags = _FLAGS if quality is None else {**_FLAGS, "lam": "--quality"}
    given = _checked_options(method, options, flags)
    if resume and effort != "high":
        raise UsageError("--resume: only effort high has it")
    check_of_views(views, images=images, force_views=force_views)
    if views is not None:
        check_method_looks(method)
    recipe = Encoding(
        method=method,
        options=given,
        reading=Reading(drop_invalid, keep_extra, "auto", allow_outside),
        scaling=scaling,
        views=views,
        images=images,
        force_views=force_views,
        min_psnr=min_psnr,
        verify=not no_verify,
        resume=resume,
        overwrite=overwrite,
        skip_existing=skip_existing,
    )
    run(recipe, jobs, Manner(quiet=quiet, as_json=as_json, at_once=at_once))


def _is_output(path: str) -> bool:
    """Whether ``path`` cannot be a scene to encode."""
    return path == STDIO or path.lower().endswith(".gsz") or is_new_folder(path)


def _position_bits(text: str) -> int | None:
    """``auto`` is None; the range is the method's to check."""
    if text == "auto":
        return None
    if text.isascii() and text.isdigit() and len(text) < 10:
        return int(text)
    raise UsageError(f"--position-bits: found {text[:40]!r}, expected auto or 1 to 21")


def _chosen_lambda(
    lam: float | None, quality: str | None, target_size: str | None, target_psnr: float | None
) -> float | None:
    """What was given in one of four ways; None where the encoder is to choose."""
    named = {
        "--lambda": lam,
        "--quality": quality,
        "--target-size": target_size,
        "--target-psnr": target_psnr,
    }
    given = [name for name, value in named.items() if value is not None]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)}: each chooses the quality; give one of them")
    if quality is None:
        return lam
    from gscodec.fit.options import QUALITIES

    if quality not in QUALITIES:
        expected = ", ".join(QUALITIES)
        raise UsageError(f"--quality: found {quality!r}, expected one of {expected}")
    return QUALITIES[quality]


def _checked_options(
    method: str, options: Mapping[str, object], flags: Mapping[str, str]
) -> dict[str, Any]:
    """The options that were given, by ``flags``; refuses bad ones before any work is done."""
    from gscodec import methods

    module = methods.by_name(method)
    known = module.Options.__dataclass_fields__
    given = {name: value for name, value in options.items() if value is not None}
    if "threads" not in known:  # holds for every method through the environment
        given.pop("threads", None)
    for name in given:
        if name not in known:
            raise UsageError(f"{flags[name]}: method {method} has no such option")
    module.require(module.Options(**given))
    return given
