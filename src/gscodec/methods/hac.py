"""Method `hac`: hash-grid assisted context (Chen et al., ECCV 2024), for GaussianScene.

Positions are coded losslessly on a lattice (geometry). A binary hash grid and small integer
networks then predict, from the position and from everything decoded before, the step, the
centre and the spread of each group of attribute values; residuals are range coded. Every
number between the bytes and the symbols is an integer.

Coding order: opacity, scale, rotation, SH dc, then SH by degree, luma before chroma. Colours
are rotated to (Y, U, V) with R = Y + U - V, G = Y + 2 V, B = Y - U - V. Rotations are twist
and swing (geometry.rotation).

Where this differs from the paper, which codes Scaffold-GS anchors: docs/hac.md.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from gscodec.coding import (
    Decoder,
    Encoder,
    bit_costs,
    decode_residuals,
    encode_residuals,
)
from gscodec.errors import (
    CannotCodeError,
    FormatError,
    SceneError,
    UnsupportedError,
    UsageError,
)
from gscodec.geometry import MAX_BITS, Lattice, morton, octree
from gscodec.geometry.rotation import from_twist_swing, is_disc, to_twist_swing
from gscodec.intnet.context import (
    MAX_MEAN,
    Group,
    GroupModel,
    decode_group_model,
    encode_group_model,
)
from gscodec.intnet.hashgrid import Box, HashGrid, decode_grid, encode_grid
from gscodec.methods import Coded, Progress, streams_of
from gscodec.payload import Attribute, Header, Method, Payload, SceneKind, Stream
from gscodec.scene import ExtraProperty, GaussianScene, sh_rest_count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from gscodec.fit.hac import Source

BLOCK_SIZE = 65_536
_MAX_COORDINATE = 1e18  # squares of distances must stay finite
T = TypeVar("T")

# Registry of groups, in coding order. Sensitivities of Y, U, V are 3 : 2 : 6, so U takes a
# step 2 / 8 of an octave above that of Y, and V one 4 / 8 below.
_U, _V = 2, -4
OPACITY = Group(1, (0,), (0,), fine=False)
SCALE = Group(3, (0, 1, 2), (0, 0, 0), fine=False)
ROTATION = Group(3, (0, 1, 1), (0, 0, 0), fine=False)
SH_DC = Group(3, (0, 0, 0), (0, _U, _V), fine=False)


def _luma(degree: int) -> Group:
    n = 2 * degree + 1
    return Group(n, (0,) * n, (0,) * n, fine=True)


def _chroma(degree: int) -> Group:
    n = 2 * degree + 1
    return Group(2 * n, (0,) * (2 * n), (_U,) * n + (_V,) * n, fine=True)


def groups(sh_degree: int) -> tuple[tuple[Attribute, Group], ...]:
    """The groups of a scene in coding order, each with the attribute whose stream holds it."""
    colour = [(Attribute.SH_1, 1), (Attribute.SH_2, 2), (Attribute.SH_3, 3)][:sh_degree]
    return (
        (Attribute.OPACITY, OPACITY),
        (Attribute.SCALE, SCALE),
        (Attribute.ROTATION, ROTATION),
        (Attribute.SH_DC, SH_DC),
        *((a, make(d)) for a, d in colour for make in (_luma, _chroma)),
    )


@dataclass(frozen=True)
class Options:
    """Settings of the encoder.

    Attributes:
        lam: Lagrangian weight of bits against distortion, 1e-5 to 1; larger is smaller and
            worse. The paper's range is 5e-4 to 4e-3.
        position_bits: Depth of the octree, 1 to 21; None chooses it from data and ``lam``.
        seed: Of the training. Same input, seed, machine and version give the same file.
        device: Where to train: "auto", "cpu" or "cuda".
        threads: CPU threads; None takes all.
    """

    lam: float = 2e-3
    position_bits: int | None = None
    seed: int = 0
    device: str = "auto"
    threads: int | None = None

    def __post_init__(self) -> None:
        if not 1e-5 <= self.lam <= 1:
            raise UsageError(f"lambda: found {self.lam:g}, expected 1e-5 to 1")
        if self.position_bits is not None and not 1 <= self.position_bits <= MAX_BITS:
            raise UsageError(f"position bits: found {self.position_bits}, expected 1 to 21")
        if self.device not in {"auto", "cpu", "cuda"}:
            raise UsageError(f"device: found {self.device!r}, expected auto, cpu or cuda")
        if self.threads is not None and self.threads < 1:
            raise UsageError(f"threads: found {self.threads}, expected at least 1")


@dataclass(frozen=True)
class Model:
    """Everything that a decoder needs besides positions and residuals.

    Attributes:
        grid: Binary hash grid.
        box: The part of the lattice that it covers.
        groups: One model per group, in coding order.
    """

    grid: HashGrid
    box: Box
    groups: tuple[GroupModel, ...]


# --- encoder ------------------------------------------------------------------------------


def encode(scene: GaussianScene, options: Options, progress: Progress) -> Coded:
    """Fits the context model to ``scene`` and codes it.

    Raises:
        CannotCodeError: The lattice or the integers cannot hold some value; method raw can.
        SceneError: The scene holds NaN or infinity.
    """
    from gscodec.fit import hac as fit

    if not len(scene):
        raise CannotCodeError("the scene is empty")
    _check_finite(scene)
    if float(np.abs(scene.means).max()) > _MAX_COORDINATE:
        raise CannotCodeError(f"positions reach beyond {_MAX_COORDINATE:g}")
    progress("prepare", 0.0)
    source = fit.Source.of(scene)
    base = fit.log2_base_step(options.lam, len(scene))
    bits = options.position_bits or _affordable(fit.position_bits(source, base))
    lattice = Lattice.covering(scene.means, bits)
    ijk = lattice.quantize(scene.means)
    codes = morton.encode(ijk)
    order = np.argsort(codes, kind="stable")
    source, ijk = source.take(order), ijk[order]
    model = _fit(source, ijk, base, scene.sh_degree, options, progress)
    positions = Encoder()
    octree.encode(codes[order], bits, positions)
    coder = _BlockEncoder(model, source, scene.sh_degree)
    u = model.box.normalise(ijk)
    blocks = _in_parallel(
        lambda rows: coder.encode(rows, _context(model, coder.layout, u[rows])),
        _blocks(len(ijk), BLOCK_SIZE),
        options.threads,
        lambda share: progress("code", share),
    )
    decoded = _joined(lattice.positions(ijk), [block.arrays for block in blocks])
    extras = tuple(ExtraProperty(e.name, e.values[order]) for e in scene.extras)
    decoded = replace(decoded, has_normals=scene.has_normals, extras=extras)
    streams = [
        Stream(Attribute.NETWORKS, 0, _encode_networks(model)),
        Stream(Attribute.GRID, 0, _encode_grid(model)),
        Stream(Attribute.POSITION, 0, positions.finish()),
        *(
            Stream(attribute, number, data)
            for number, block in enumerate(blocks)
            for attribute, data in block.streams
        ),
    ]
    low, high = decoded.means.min(axis=0).tolist(), decoded.means.max(axis=0).tolist()
    header = Header(
        kind=SceneKind.GAUSSIANS,
        method=Method.HAC,
        count=len(scene),
        sh_degree=scene.sh_degree,
        has_normals=scene.has_normals,
        block_size=BLOCK_SIZE,
        position_bits=bits,
        lattice_origin=lattice.origin,
        lattice_step=lattice.step,
        bounds_min=(low[0], low[1], low[2]),
        bounds_max=(high[0], high[1], high[2]),
        scene_sha256=decoded.digest(),
    )
    meta: dict[str, object] = {
        "settings": {"lambda": options.lam, "position_bits": bits, "seed": options.seed},
        "position_error": _position_error(scene, decoded, order),
    }
    notes = (
        f"reordered {len(scene)} Gaussians along the Morton curve",
        *source.notes,
        *_duplicates(codes),
    )
    return Coded(Payload(header, tuple(streams), meta), decoded, notes)


def _check_finite(scene: GaussianScene) -> None:
    for name, array in scene.attributes().items():
        bad = ~np.isfinite(array).reshape(len(scene), -1).all(axis=1)
        if bad.any():
            raise SceneError(
                f"scene.{name}: {int(bad.sum())} Gaussians hold NaN or infinity, the first at "
                f"index {int(bad.argmax())}; drop them or use method raw"
            )


def _affordable(bits: int) -> int:
    """The octree depth for a wish of ``bits``; two levels too few are tolerable, more are not."""
    if bits > MAX_BITS + 2:
        raise CannotCodeError(f"positions need {bits} bits, the lattice has at most {MAX_BITS}")
    return min(bits, MAX_BITS)


def _fit(
    source: Source,
    ijk: NDArray[np.int64],
    base: float,
    sh_degree: int,
    options: Options,
    progress: Progress,
) -> Model:
    """Learns the context model."""
    from gscodec.fit import hac as fit

    box = fit.grid_box(ijk)
    u = box.normalise(ijk)
    grid, models = fit.learn(
        u,
        _position_features(u),
        source,
        tuple(group for _, group in groups(sh_degree)),
        base,
        seed=options.seed,
        device=options.device,
        threads=options.threads,
        progress=lambda share: progress("fit", share),
    )
    if any(abs(m.mean) > MAX_MEAN for m in models):
        raise CannotCodeError("a group's values are far from zero and close to each other")
    return Model(grid, box, models)


@dataclass(frozen=True)
class _CodedBlock:
    """Streams of one block, and what they decode to."""

    streams: list[tuple[Attribute, bytes]]
    arrays: dict[str, NDArray[np.float32]]


class _BlockEncoder:
    """Codes blocks; mirrors `_decode_block` step by step."""

    def __init__(
        self,
        model: Model,
        source: Source,
        sh_degree: int,
    ) -> None:
        self._model = model
        self._sh_degree = sh_degree
        self._source = source
        self.layout = groups(sh_degree)

    def encode(self, rows: slice, context: _Context) -> _CodedBlock:
        """Chooses and codes the residuals of ``rows``."""
        encoders: dict[Attribute, Encoder] = {}
        values: list[NDArray[np.int64]] = []
        for number, (attribute, group) in enumerate(self.layout):
            model = self._model.groups[number]
            wanted = self._wanted(number, rows, values)
            centre, step, level = model.predict(group, context.seen())
            residual = (np.ldexp(wanted, model.fraction_bits) - centre) / step
            if np.abs(residual).max(initial=0) >= 2**30:
                raise CannotCodeError(f"{attribute.name.lower()} has values too far apart")
            whole = _cheapest(residual, level, model)
            encoder = encoders.setdefault(attribute, Encoder())
            encode_residuals(encoder, whole.ravel(), level.ravel(), model.family)
            values.append(centre + whole * step)
            context.append(model.features(group, values[-1]))
        streams = [(a, encoder.finish()) for a, encoder in encoders.items()]
        return _CodedBlock(streams, _arrays(values, self._model, self._sh_degree))

    def _wanted(
        self, number: int, rows: slice, values: list[NDArray[np.int64]]
    ) -> NDArray[np.float64]:
        """Source values (rows, columns) of group ``number``, given the decoded ones."""
        if self.layout[number][0] is Attribute.ROTATION:
            # The decoder knows only the decoded scales: the axis of the twist follows them.
            disc = is_disc(values[number - 1])
            return to_twist_swing(self._source.quats[rows], disc)
        return self._source.columns[number][rows]


def _cheapest(
    residual: NDArray[np.float64], level: NDArray[np.uint8], model: GroupModel
) -> NDArray[np.int64]:
    """Nearest integers, or the next ones towards zero where the bits are worth the error."""
    from gscodec.fit.context import BIT_PRICE

    costs = bit_costs(model.family)
    last = costs.shape[1] - 1
    size = np.abs(residual)
    whole = np.rint(size).astype(np.int64)
    lower = np.maximum(whole - 1, 0)
    error = size - whole
    gain = costs[level, np.minimum(whole, last)] - costs[level, np.minimum(lower, last)]
    # (size - lower)**2 - (size - whole)**2 = 2 * error + 1 where lower = whole - 1.
    down = (whole > 0) & (BIT_PRICE * gain > 2 * error + 1)
    chosen = np.where(down, lower, whole)
    return np.where(residual < 0, -chosen, chosen)


def _encode_networks(model: Model) -> bytes:
    encoder = Encoder()
    for group in model.groups:
        encode_group_model(encoder, group)
    return encoder.finish()


def _encode_grid(model: Model) -> bytes:
    encoder = Encoder()
    encode_grid(encoder, model.grid, model.box)
    return encoder.finish()


def _position_error(
    scene: GaussianScene, decoded: GaussianScene, order: NDArray[np.int64]
) -> dict[str, float]:
    """Largest and RMS distance, in scene units and in median Gaussian scales."""
    offset = decoded.means.astype(np.float64) - scene.means[order]
    distance = np.sqrt((offset**2).sum(axis=1))
    scale = float(np.exp(np.median(scene.log_scales.astype(np.float64))))
    largest, rms = float(distance.max()), float(np.sqrt((distance**2).mean()))
    return {
        "max": largest,
        "rms": rms,
        "max_over_median_scale": largest / scale,
        "rms_over_median_scale": rms / scale,
    }


def _duplicates(codes: NDArray[np.uint64]) -> Iterable[str]:
    """A note about Gaussians that share a lattice cell; they are kept."""
    _, counts = np.unique(codes, return_counts=True)
    shared = int(counts[counts > 1].sum())
    if shared:
        yield f"{shared} Gaussians share a lattice cell with another (all are kept)"


# --- decoder ------------------------------------------------------------------------------


def decode(payload: Payload, progress: Progress, threads: int | None = None) -> GaussianScene:
    """Inverse of `encode`, with as many ``threads`` as there are processors if None.

    Raises:
        FormatError: Streams are missing or inconsistent.
    """
    header = payload.header
    _check_header(header, len(payload.streams))
    layout = groups(header.sh_degree)
    blocks = _blocks(header.count, header.block_size)
    whole = ((a, 0) for a in (Attribute.NETWORKS, Attribute.GRID, Attribute.POSITION))
    by_block = ((a, b) for b in range(len(blocks)) for a, _ in layout)
    streams = streams_of(payload, (*whole, *by_block))
    progress("networks", 0.0)
    model = _decode_model(streams, layout, header.position_bits)
    progress("positions", 0.0)
    positions = Decoder(streams[Attribute.POSITION, 0])
    codes = octree.decode(positions, header.count, header.position_bits)
    positions.finish()
    ijk = morton.decode(codes)
    lattice = Lattice(header.lattice_origin, header.lattice_step, header.position_bits)
    u = model.box.normalise(ijk)

    def block(rows: slice) -> dict[str, NDArray[np.float32]]:
        number = rows.start // header.block_size
        data = {a: streams[a, number] for a, _ in layout}
        values = _decode_block(model, layout, data, _context(model, layout, u[rows]))
        return _arrays(values, model, header.sh_degree)

    parts = _in_parallel(block, blocks, threads, lambda share: progress("decode", share))
    scene = _joined(lattice.positions(ijk), parts)
    return replace(scene, has_normals=header.has_normals)


def _check_header(header: Header, streams: int) -> None:
    """Refuses what the container allows and this method does not."""
    if header.kind is not SceneKind.GAUSSIANS:
        raise UnsupportedError(f"method hac of scene kind {header.kind.name.lower()}")
    if not header.count or not header.position_bits:
        raise FormatError(
            f"method hac: found {header.count} Gaussians and {header.position_bits} position "
            "bits, expected at least 1 of each"
        )
    if header.block_size > BLOCK_SIZE:
        raise FormatError(
            f"method hac: found blocks of {header.block_size}, expected at most {BLOCK_SIZE}"
        )
    if -(-header.count // header.block_size) > streams:
        raise FormatError(
            f"method hac: {streams} streams cannot hold {header.count} Gaussians "
            f"in blocks of {header.block_size}"
        )


def _decode_model(
    streams: dict[tuple[Attribute, int], bytes],
    layout: Sequence[tuple[Attribute, Group]],
    position_bits: int,
) -> Model:
    """Grid first: its width decides how many inputs the networks have."""
    decoder = Decoder(streams[Attribute.GRID, 0])
    grid, box = decode_grid(decoder, position_bits)
    decoder.finish()
    decoder = Decoder(streams[Attribute.NETWORKS, 0])
    width = _POSITION_FEATURES + grid.features
    models = []
    for _, group in layout:
        models.append(decode_group_model(decoder, group, width))
        width += group.features
    decoder.finish()
    return Model(grid, box, tuple(models))


def _decode_block(
    model: Model,
    layout: Sequence[tuple[Attribute, Group]],
    data: dict[Attribute, bytes],
    context: _Context,
) -> list[NDArray[np.int64]]:
    """Values (rows, columns) of each group of one block, in quanta."""
    decoders = {attribute: Decoder(stream) for attribute, stream in data.items()}
    values = []
    for (attribute, group), group_model in zip(layout, model.groups, strict=True):
        centre, step, level = group_model.predict(group, context.seen())
        whole = decode_residuals(decoders[attribute], level.ravel(), group_model.family)
        values.append(centre + whole.reshape(centre.shape) * step)
        context.append(group_model.features(group, values[-1]))
    for decoder in decoders.values():
        decoder.finish()
    return values


# --- both directions ----------------------------------------------------------------------

_POSITION_FEATURES = 3


class _Context:
    """What is known about the rows of a block, column by column, as it grows."""

    def __init__(self, known: NDArray[np.float32], width: int) -> None:
        self._columns = np.empty((len(known), width), dtype=np.float32)
        self._used = 0
        self.append(known)

    def append(self, features: NDArray[np.float32] | NDArray[np.int64]) -> None:
        """Adds columns."""
        end = self._used + features.shape[1]
        self._columns[:, self._used : end] = features
        self._used = end

    def seen(self) -> NDArray[np.float32]:
        """All columns so far, (rows, width) float32 holding integers."""
        return self._columns[:, : self._used]


def _context(
    model: Model, layout: Sequence[tuple[Attribute, Group]], u: NDArray[np.int64]
) -> _Context:
    """Context of positions ``u`` (rows, 3), with room for all groups."""
    known = np.concatenate([_position_features(u), model.grid(u)], axis=1)
    return _Context(known, known.shape[1] + sum(group.features for _, group in layout))


def _position_features(u: NDArray[np.int64]) -> NDArray[np.float32]:
    """Normalised 16-bit positions (N, 3) as inputs of a network, -127 .. 127."""
    centred: NDArray[np.float32] = np.clip((u >> 8) - 128, -127, 127).astype(np.float32)
    return centred


def _arrays(
    values: Sequence[NDArray[np.int64]], model: Model, sh_degree: int
) -> dict[str, NDArray[np.float32]]:
    """The fields of a scene, means aside, that integers ``values`` of some rows stand for.

    Every float operation is a single rounding.
    """
    real = [_floats(v, m) for v, m in zip(values, model.groups, strict=True)]
    rest = np.empty((len(real[0]), sh_rest_count(sh_degree), 3), dtype=np.float32)
    start = 0
    for degree in range(1, sh_degree + 1):
        luma, chroma = real[2 + 2 * degree], real[3 + 2 * degree]
        width = luma.shape[1]
        yuv = np.stack([luma, chroma[:, :width], chroma[:, width:]], axis=2)
        rest[:, start : start + width] = _to_rgb(yuv)
        start += width
    return {
        "opacity_logits": real[0][:, 0].astype(np.float32),
        "log_scales": real[1].astype(np.float32),
        "quats": from_twist_swing(real[2], is_disc(values[1])),
        "sh_dc": _to_rgb(real[3]),
        "sh_rest": rest,
    }


def _joined(
    means: NDArray[np.float32], blocks: Sequence[dict[str, NDArray[np.float32]]]
) -> GaussianScene:
    """The scene of ``means`` and the arrays of its blocks."""
    fields = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    return GaussianScene(means=means, **fields, extras=(), has_normals=False)


def _floats(values: NDArray[np.int64], model: GroupModel) -> NDArray[np.float64]:
    """Quanta as float64: exact, values are below 2**53."""
    return np.ldexp(values.astype(np.float64), -model.fraction_bits)


def _to_rgb(yuv: NDArray[np.float64]) -> NDArray[np.float32]:
    """(..., 3) Y, U, V to R, G, B."""
    y, u, v = yuv[..., 0], yuv[..., 1], yuv[..., 2]
    rgb: NDArray[np.float32] = np.empty(yuv.shape, dtype=np.float32)
    rgb[..., 0] = (y + u) - v
    rgb[..., 1] = y + 2 * v
    rgb[..., 2] = (y - u) - v
    return rgb


def _blocks(count: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def _in_parallel(
    work: Callable[[slice], T],
    blocks: Sequence[slice],
    threads: int | None,
    progress: Callable[[float], None],
) -> list[T]:
    """Results of ``work`` for each block, in order. numpy and constriction release the GIL."""
    results = []
    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        for number, result in enumerate(pool.map(work, blocks)):
            results.append(result)
            progress((number + 1) / len(blocks))
    return results
