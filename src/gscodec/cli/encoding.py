"""``gscodec encode``: a scene or a checkpoint made small."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gscodec.cli.batch import Manner, run, threads_each
from gscodec.cli.effort import (
    check_method_looks,
    memory_limit,
    parse_bytes,
    parse_seconds,
    tiles_of,
    workers_of,
)
from gscodec.cli.encode_options import (
    Device,
    DropInvalid,
    DryRun,
    EmbedPrior,
    Images,
    KeepAll,
    KeepExtra,
    Lambda,
    MergeVoxels,
    Method,
    MinPsnr,
    NoVerify,
    PositionBits,
    Quality,
    Resume,
    Scaling,
    Seed,
    Sources,
    Strip,
    TargetPsnr,
    TargetSize,
    ViewsPath,
)
from gscodec.cli.encoder import Encoding
from gscodec.cli.jobs import is_new_folder, jobs_of
from gscodec.cli.options import (
    AllowOutside,
    AtOnce,
    Effort,
    ForceViews,
    Iterations,
    Json,
    MaxMemory,
    Output,
    Overwrite,
    Quiet,
    SkipExisting,
    Threads,
    Tiles,
    TimeLimit,
    Verbose,
    Workers,
    check_of_views,
    check_psnr,
)
from gscodec.cli.rehearsal import rehearse
from gscodec.cli.session import limit_threads
from gscodec.disk.files import STDIO
from gscodec.disk.scenes import Reading, is_folder, may_be_scene
from gscodec.errors import UsageError
from gscodec.methods import DEFAULT
from gscodec.tiling import Tiling

if TYPE_CHECKING:
    from collections.abc import Mapping

_FLAGS = {
    "lam": "--lambda",
    "position_bits": "--position-bits",
    "merge_voxels": "--merge-voxels",
    "keep_all": "--keep-all",
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
    sources: Sources,
    output: Output = None,
    overwrite: Overwrite = False,
    strip: Strip = False,
    embed_prior: EmbedPrior = False,
    no_verify: NoVerify = False,
    method: Method = DEFAULT,
    quality: Quality = None,
    lam: Lambda = None,
    target_size: TargetSize = None,
    target_psnr: TargetPsnr = None,
    min_psnr: MinPsnr = None,
    position_bits: PositionBits = "auto",
    merge_voxels: MergeVoxels = False,
    keep_all: KeepAll = False,
    effort: Effort = None,
    iterations: Iterations = None,
    time_limit: TimeLimit = None,
    resume: Resume = False,
    device: Device = None,
    seed: Seed = None,
    views: ViewsPath = None,
    images: Images = None,
    allow_outside: AllowOutside = False,
    force_views: ForceViews = False,
    scaling: Scaling = None,
    keep_extra: KeepExtra = False,
    drop_invalid: DropInvalid = False,
    skip_existing: SkipExisting = False,
    at_once: AtOnce = 1,
    dry_run: DryRun = False,
    threads: Threads = None,
    tiles: Tiles = None,
    workers: Workers = None,
    max_memory: MaxMemory = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """Make scenes small: IN.ply, or IN, a checkpoint folder -> OUT.gsz."""
    jobs = jobs_of(sources, output, _is_output)
    threads = threads_each(threads, at_once, len(jobs))
    limit_threads(threads)
    check_psnr(min_psnr)
    if min_psnr is not None and no_verify:
        raise UsageError("--min-psnr: nothing is measured with --no-verify; leave out one")
    if min_psnr is not None and effort == "instant" and views is None:
        raise UsageError("--min-psnr: effort instant looks at nothing; give it --views")
    _check_names(effort, quality)
    lam = _chosen_lambda(lam, quality, target_size, target_psnr)
    options = {
        "lam": lam,
        "effort": effort,
        "iterations": iterations,
        "time_limit": None if time_limit is None else parse_seconds(time_limit),
        "target_bytes": None if target_size is None else parse_bytes(target_size),
        "target_psnr": target_psnr,
        "position_bits": _position_bits(position_bits),
        "merge_voxels": merge_voxels or None,
        "keep_all": keep_all or None,
        "device": device,
        "seed": seed,
        "embed_prior": embed_prior or None,
        "threads": threads,
    }
    flags = _FLAGS if quality is None else {**_FLAGS, "lam": "--quality"}
    given = _checked_options(method, options, flags)
    in_tiles = tiles is not None or workers is not None
    if resume and effort != "high" and not in_tiles:
        raise UsageError("--resume: only effort high and --tiles have it")
    if in_tiles and (effort == "high" or method == "raw"):
        raise UsageError(
            "--tiles, --workers: method raw and effort high code a scene as a whole; leave them out"
        )
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
        strip=strip,
        max_memory=memory_limit(max_memory),
        tiling=Tiling(tiles_of(tiles), workers_of(workers)) if in_tiles else None,
    )
    manner = Manner(quiet, verbose, as_json, at_once)
    if dry_run:
        rehearse(recipe, jobs, manner)
    else:
        run(recipe, jobs, manner)


def _is_output(path: str) -> bool:
    """Whether ``path`` cannot be a scene to encode."""
    return (
        path == STDIO
        or path.lower().endswith(".gsz")
        or is_new_folder(path)
        or (is_folder(path) and not may_be_scene(path))
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

    return QUALITIES[quality]


def _check_names(effort: str | None, quality: str | None) -> None:
    """Refuses numbers, which other programs have in place of names."""
    from gscodec.cli.hints import effort_hint, quality_hint
    from gscodec.fit.options import EFFORTS, QUALITIES

    for flag, found, known, hint in (
        ("--effort", effort, EFFORTS, effort_hint),
        ("--quality", quality, QUALITIES, quality_hint),
    ):
        if found is not None and found not in known:
            expected = ", ".join(known)
            told = f"{flag}: found {found!r}, expected one of {expected}{hint(found)}"
            raise UsageError(told)


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
