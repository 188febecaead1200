"""The whole pipeline, both directions, on one screen.

encode   scene -> method -> Payload -> pack -> bytes, decoded once and compared
decode   bytes -> unpack -> Payload -> method -> scene, digest compared
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from gscodec import extras, methods
from gscodec._version import __version__
from gscodec.anchors import AnchorScene
from gscodec.arguments import EncodeOptions, bytes_given, checked_options, scene_given
from gscodec.container import Inspection, fitted_meta, inspect, pack, unpack
from gscodec.container.layout import MAX_SMALL_BLOCKS, MIN_BLOCK_SIZE
from gscodec.errors import CannotCodeError, FormatError, UsageError, VerifyError
from gscodec.fit.options import with_lambda
from gscodec.likeness import measured, require
from gscodec.notes import Note
from gscodec.payload import Attribute, Conventions, weight
from gscodec.room import MEMORY

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gscodec.anchors import Scene
    from gscodec.bitmap import BitMap, Level
    from gscodec.method import Coded, Progress
    from gscodec.room import Room
    from gscodec.tiling import Tiling

__all__ = [
    "Encoded",
    "Inspection",
    "bit_map",
    "decode",
    "encode",
    "encode_with_report",
    "inspect",
    "latents",
]


_PROMISED_SIZE = 0.03  # of a wanted size


def _silent(stage: str, share: float, detail: str = "", /) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True)
class Encoded:
    """The bytes of a file, and what there is to say about them.

    Attributes:
        data: The file.
        reconstruction: The scene that decoding ``data`` gives.
        notes: One line for each thing that was changed, merged, clamped or reordered.
        report: JSON values: settings, position error, ``quality`` (see `encode_with_report`), and
            what else the method measured.
        order: (M,) int64, which primitive of the source each of ``reconstruction`` is:
            ``source.take(order)`` is the source in the order of the file, without what was left
            out.
        model: What coded it; as ``start`` of another encode of the same scene it saves most of
            the training.
    """

    data: bytes = field(repr=False)
    reconstruction: Scene
    notes: tuple[str, ...]
    report: dict[str, object]
    order: NDArray[np.int64]
    model: object = field(default=None, repr=False)


def encode(
    scene: Scene, method: str = methods.DEFAULT, **options: Unpack[EncodeOptions]
) -> bytes:
    """Encodes ``scene`` and returns the bytes of a .gsz file.

    Args:
        scene: What to encode.
        method: One of `gscodec.methods.choices`.
        options: Fields of the method's ``Options`` (for hemgs: lam, position_bits, seed, ...) and
            of its ``Given`` (views, resume, checkpoint), see `gscodec.EncodeOptions`.

    Raises:
        UsageError: Unknown method or option, or a value of another type.
        SceneError: The scene holds values that cannot be coded.
        VerifyError: The file does not decode to what was meant.
    """
    return encode_with_report(scene, method, **options).data


def encode_with_report(
    scene: Scene,
    method: str = methods.DEFAULT,
    *,
    verify: bool = True,
    min_psnr: float | None = None,
    meta: dict[str, object] | None = None,
    progress: Progress = _silent,
    room: Room = MEMORY,
    tiling: Tiling | None = None,
    **options: Unpack[EncodeOptions],
) -> Encoded:
    """As `encode`, with the report, of which most is stored in the file, for people.

    ``report["quality"]`` has ``mean_psnr`` and ``worst_psnr`` in dB over ``views``, renders of the
    reconstruction against renders of ``scene``; or ``exact``; or ``not_measured`` and why.

    Args:
        scene: As for `encode`.
        method: As for `encode`.
        verify: Whether the result is looked at: decoded and compared, rendered and measured.
        min_psnr: The least mean PSNR in dB that is good enough.
        meta: JSON values to store as well (source, conventions).
        progress: Hears how far the work is.
        room: Where scenes are that are made on the way, and the reconstruction.
        tiling: How the scene is cut and who codes it; changes no byte.
        options: As for `encode`.

    Raises:
        UsageError: As `encode`; or ``meta`` is no JSON.
        VerifyError: As `encode`; or the mean PSNR is below ``min_psnr``, or not measured.
    """
    scene = scene_given(scene)
    settings, given = _checked(scene, method, meta or {}, checked_options(options))
    method = methods.chosen(method, scene, settings)
    if "room" in given.__dataclass_fields__:
        given = replace(given, room=room, tiling=tiling)
    coded = _encode_or_fall_back(scene, method, settings, given, progress)
    quality = measured(coded, progress, look=verify)
    if min_psnr is not None:
        require(quality, min_psnr)
    made = _packed(scene, coded, meta or {}, quality)
    if wanted := getattr(settings, "target_bytes", None):
        _require_size(len(made.data), wanted, exact=coded.look is None)
    if verify:
        _verify(made, progress, room)
    return made


def _checked(
    scene: Scene, method: str, meta: dict[str, object], options: dict[str, Any]
) -> tuple[Any, Any]:
    """Settings of ``method`` and what it is given besides; refuses bad ones before the work."""
    module = methods.by_name(method)
    known = [form.__dataclass_fields__ for form in (module.Options, module.Given)]
    if "lam" in known[0]:
        options = with_lambda(options)
    for name in options:
        if not any(name in fields for fields in known):
            has = ", ".join(
                n for fields in known for n in fields if n in EncodeOptions.__annotations__
            )
            raise UsageError(
                f"option {name}: method {method} has no such option, expected {has or 'none'}"
            )
    own, others = ({n: v for n, v in options.items() if n in fields} for fields in known)
    settings, given = module.Options(**own), module.Given(**others)
    module.require(settings)
    told, _ = fitted_meta(meta)  # refuses what is no JSON
    _check_blocks(settings, len(scene))
    if getattr(settings, "target_bytes", None):
        given = replace(given, besides=_besides(scene, told))
    return settings, given


def _packed(
    scene: Scene, coded: Coded, meta: dict[str, object], quality: dict[str, object]
) -> Encoded:
    """The file of ``coded``, with all notes."""
    encoder = f"gscodec {__version__}"
    notes, cuts = fitted_meta(
        {"encoder": encoder, **meta, **coded.payload.meta, "quality": quality}
    )
    payload = replace(
        coded.payload,
        streams=coded.payload.streams + extras.encode(coded.reconstruction.extras),
        meta=notes,
        conventions=_conventions(scene),
    )
    order = np.arange(len(scene)) if coded.order is None else coded.order
    found = coded.reconstruction, (*coded.notes, *cuts), dict(notes), order, coded.model
    return Encoded(pack(payload), *found)


def _check_blocks(settings: Any, count: int) -> None:
    """Whether a decoder would take blocks of this size; see `container.layout`."""
    size = getattr(settings, "block_size", MIN_BLOCK_SIZE)
    number = -(-count // size)
    if number > MAX_SMALL_BLOCKS and size < MIN_BLOCK_SIZE:
        raise UsageError(
            f"block size: found {size}, {number} blocks; expected at least {MIN_BLOCK_SIZE} for "
            f"more than {MAX_SMALL_BLOCKS} blocks"
        )


def _besides(scene: Scene, told: dict[str, object]) -> int:
    """Bytes of what a file holds besides what its method makes, about."""
    return len(json.dumps(told)) + weight(extras.encode(scene.extras))


def _conventions(scene: Scene) -> Conventions:
    if isinstance(scene, AnchorScene):
        return Conventions()
    return Conventions(scene.antialiased, scene.origin)


def _verify(made: Encoded, progress: Progress, room: Room) -> None:
    """Decodes what was just made; whatever is wrong with it is the encoder's fault."""
    progress("verify", 0.0)
    wanted = made.reconstruction
    try:
        found = decode(made.data, room=room)  # which compares with the digest of ``wanted``
    except FormatError as error:
        raise VerifyError(f"the file just made cannot be decoded: {error}") from error
    if _conventions(found) != _conventions(wanted):
        raise VerifyError("the file just made does not decode to what was encoded")
    progress("verify", 1.0)


def _encode_or_fall_back(
    scene: Scene, method: str, options: Any, given: Any, progress: Progress
) -> Coded:
    """Codes with ``method``, or with `raw` where that is the only way, or the smaller one."""
    raw = methods.by_name("raw")
    try:
        coded = methods.by_name(method).encode(scene, options, progress, given)
    except CannotCodeError as reason:
        if any(getattr(options, target, None) for target in ("target_bytes", "target_psnr")):
            raise UsageError(
                f"target size or PSNR: only method raw can hold this scene, which has one size "
                f"and changes nothing: {reason}; nothing was written"
            ) from reason
        coded = raw.encode(scene, raw.Options(), progress, raw.Given())
        note = f"method raw instead of {method}: {reason}"
        return replace(coded, notes=(Note(note, "method-raw", changed=False),))
    if len(scene) > getattr(options, "raw_below", -1):
        return coded
    # The networks of a learned method can outweigh a tiny scene.
    exact = raw.encode(scene, raw.Options(), progress, raw.Given())
    if _size(exact) > _size(coded):
        return coded
    noun = "anchors" if isinstance(scene, AnchorScene) else "Gaussians"
    note = f"method raw instead of {method}: smaller for {len(scene)} {noun}"
    return replace(exact, notes=(Note(note, "method-raw", changed=False),))


def _require_size(found: int, wanted: int, *, exact: bool) -> None:
    """Refuses a file of ``found`` bytes for one of ``wanted``; nothing beats a small exact one.

    Raises:
        UsageError: The target is missed.
    """
    least = 0 if exact else (1 - _PROMISED_SIZE) * wanted
    if not least <= found <= (1 + _PROMISED_SIZE) * wanted:
        raise UsageError(
            f"target size {wanted:,} bytes: missed, the nearest file has {found:,} bytes; nothing "
            "was written. Choose another target, or a lambda"
        )


def _size(coded: Coded) -> int:
    return sum(len(stream.data) for stream in coded.payload.streams)


def decode(
    data: bytes, progress: Progress = _silent, threads: int | None = None, room: Room = MEMORY
) -> Scene:
    """Decodes the bytes of a .gsz file; ``threads`` limits the CPU, not the result.

    Arrays of the scene are in memory, or where else there is ``room`` for them.

    Raises:
        FormatError: The bytes are damaged.
        UnsupportedError: The file needs something that this version lacks.
    """
    scene, check = decode_unchecked(data, progress, threads, room)
    check()
    return scene


def decode_unchecked(
    data: bytes, progress: Progress = _silent, threads: int | None = None, room: Room = MEMORY
) -> tuple[Scene, Callable[[], None]]:
    """As `decode`, for who has other work meanwhile: what comes with the scene checks its digest.

    Nothing may become of the scene unless that has returned; it raises what `decode` does.
    """
    payload = unpack(bytes_given(data))
    scene = methods.by_id(payload.header.method).decode(payload, progress, threads, room)
    wanted = payload.header.scene_sha256

    def check() -> None:
        digest = scene.digest(room)
        if digest != wanted:
            raise FormatError(
                f"decoded scene: SHA-256 {digest.hex()[:16]}..., "
                f"expected {wanted.hex()[:16]}... from the header"
            )

    found = replace(scene, extras=extras.decode(payload))
    if isinstance(found, AnchorScene):
        return found, check
    told = payload.conventions
    return replace(found, antialiased=told.antialiased, origin=told.origin), check


def latents(data: bytes, progress: Progress = _silent) -> list[Level]:
    """The latents of a file of method ralhe, level by level, the coarsest first.

    Raises:
        FormatError: The bytes are damaged.
        UnsupportedError: The file needs something that this version lacks.
        UsageError: Its method has no latents.
    """
    payload = unpack(bytes_given(data))
    module = methods.by_id(payload.header.method)
    if not hasattr(module, "latents"):
        name = methods.name_of(payload.header.method)
        raise UsageError(f"latents: method {name} has none; expected a file of method ralhe")
    found: list[Level] = module.latents(payload, progress)
    return found


def bit_map(data: bytes, progress: Progress = _silent, threads: int | None = None) -> BitMap:
    """Decodes the bytes of a .gsz file to learn which bits each primitive takes.

    Extra properties are part of it, evenly over the primitives.

    Raises:
        FormatError: The bytes are damaged.
        UnsupportedError: The file needs something that this version lacks.
    """
    payload = unpack(data)
    found = methods.by_id(payload.header.method).spent(payload, progress, threads)
    sizes = [len(s.data) for s in payload.streams if s.attribute is Attribute.EXTRA]
    if not sizes or not len(found):
        return found
    each = np.full(len(found), 8 * sum(sizes) / len(found), dtype=np.float32)
    return replace(found, bits={**found.bits, Attribute.EXTRA: each})
