"""``gscodec encode``: a scene or a checkpoint made small."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gscodec.cli.effort import (
    StateFile,
    check_method_looks,
    parse_bytes,
    parse_seconds,
    target_views,
)
from gscodec.cli.fitting import fitted, tell
from gscodec.cli.options import (
    AllowOutside,
    Effort,
    ForceViews,
    Iterations,
    Json,
    Output,
    Overwrite,
    Quiet,
    Threads,
    TimeLimit,
    check_of_views,
    check_psnr,
)
from gscodec.cli.outcome import Run, Sizes
from gscodec.cli.session import Session, limit_threads
from gscodec.disk.files import check_output, output_path, write_output
from gscodec.disk.scenes import (
    Reading,
    check_coded_name,
    checked_scaling,
    holds_anchors,
    is_folder,
    load_source,
    named_folder,
    suffix_of,
)
from gscodec.disk.views import read_views
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
    source: Annotated[
        str,
        typer.Argument(
            metavar="IN",
            help="3DGS scene: .ply, .spz, .splat, .ksplat, .sog, .pt or .ckpt, - for stdin; or "
            "the folder of a 3DGS, Scaffold-GS or HAC training.",
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
    """Make a scene small: IN.ply, or IN, a checkpoint folder -> OUT.gsz."""
    limit_threads(threads)
    named_so = named_folder(source) if is_folder(source) else source
    target = output_path(named_so, output, suffix_of(source), ".gsz")
    anchors = holds_anchors(source)
    space = checked_scaling(scaling, anchors=anchors)
    if anchors:
        _check_checkpoint_options(drop_invalid=drop_invalid)
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
    check_output(source, target, overwrite=overwrite)
    check_coded_name(target)
    if resume and effort != "high":
        raise UsageError("--resume: only effort high has it")
    # Anchors have no state to go on from.
    state = StateFile(target, resume=resume) if effort == "high" else None
    found = None
    check_of_views(views, images=images, force_views=force_views)
    if views is not None:
        check_method_looks(method)
        found = read_views(views, images, allow_outside=allow_outside)
    if state is not None:
        given |= state.options(quiet=quiet)

    from gscodec.codec import encode_with_report
    from gscodec.container import inspect as inspect_bytes

    with Session(quiet=quiet) as session:
        session.progress("read")
        with redirect_stdout(sys.stderr):
            read = load_source(source, Reading(drop_invalid, keep_extra, space, allow_outside))
            if found is not None:
                session.progress("views")
                found = fitted(found, read.scene, source, force=force_views)
                tell(found.notes, quiet=quiet)
                given["views"] = target_views(found)
            encoded = encode_with_report(
                read.scene,
                method,
                verify=not no_verify,
                min_psnr=min_psnr,
                meta=read.meta,
                progress=session.progress,
                **given,
            )
        session.progress("write")
        write_output(target, encoded.data, overwrite=overwrite)
        if state is not None:
            state.remove()
    size = len(encoded.data)
    Run("encode", source, target, session, quiet=quiet, as_json=as_json).finish(
        inspect_bytes(encoded.data).header,
        Sizes(read=read.bytes, written=size, coded=size),
        (*read.notes, *(found.notes if found else ()), *encoded.notes),
        encoded.report,
    )


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


def _check_checkpoint_options(*, drop_invalid: bool) -> None:
    if drop_invalid:
        raise UsageError("--drop-invalid: a checkpoint with NaN or infinity is refused")


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
