"""Bytes to scene; the bytes are specified in format-spec.md."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from gscodec.blueprint import blueprint_of, decode_integer_networks
from gscodec.coding import Decoder, decision_classes, decode_bits, decode_residuals
from gscodec.errors import FormatError
from gscodec.geometry import Lattice, morton, octree
from gscodec.intnet.context import DecisionModel, Group, decode_group_model
from gscodec.intnet.hashgrid import decode_grid
from gscodec.intnet.network import decode_network
from gscodec.methods import Progress, streams_of
from gscodec.methods.hac.anchors import (
    anchor_columns,
    anchor_groups,
    anchor_scene,
    empty_anchor_arrays,
    offset_columns,
)
from gscodec.methods.hac.layout import (
    POSITION_FEATURES,
    Model,
    arrays,
    blocks,
    context,
    context_width,
    empty_arrays,
    floats,
    gaussian_scene,
    groups,
    in_parallel,
)
from gscodec.methods.hac.options import MAX_BLOCK_SIZE
from gscodec.methods.hac.outliers import Fields, decode_outliers, outlier_count, with_outliers
from gscodec.payload import Attribute, Header, Payload
from gscodec.slices import in_slices
from gscodec.threads import one_blas_thread

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from gscodec.anchors import AnchorScene
    from gscodec.blueprint import Blueprint
    from gscodec.coding import Family
    from gscodec.methods.hac.layout import Context
    from gscodec.scene import GaussianScene


# What the blocks at work may take together, and a value of the group at work, about: levels,
# steps, order and symbols of the coder, residuals twice if some are absent, the value.
_WORKING_BYTES = 1 << 30
_GROUP_BYTES = 40
_SHARED = (Attribute.NETWORKS, Attribute.GRID, Attribute.POSITION)
_ANCHORS_SHARED = (Attribute.CHECKPOINT, Attribute.RENDERING)


def decode(
    payload: Payload, progress: Progress, threads: int | None = None
) -> GaussianScene | AnchorScene:
    """Inverse of `encode`, with as many ``threads`` as there are processors if None.

    Raises:
        FormatError: Streams are missing or inconsistent.
    """
    with one_blas_thread():
        opened = open_payload(payload, progress)
        numbers, report = range(len(opened.slices)), partial(progress, "decode")
        if opened.blueprint is None:
            fields = empty_arrays(len(opened.positions), payload.header.sh_degree)
            work = partial(_gaussians_of_block, opened, fields)
        else:
            fields = empty_anchor_arrays(len(opened.positions), opened.blueprint)
            work = partial(_anchors_of_block, opened, fields)
        in_parallel(work, numbers, opened.threads(threads), report)
    if opened.blueprint is None:
        scene = with_outliers(gaussian_scene(opened.positions, fields), opened.outliers)
        return replace(scene, has_normals=payload.header.has_normals)
    rendering = opened.streams[Attribute.RENDERING, 0]
    networks = decode_integer_networks(rendering, opened.blueprint)
    anchors = anchor_scene(opened.positions, fields, opened.blueprint, networks)
    return with_outliers(anchors, opened.outliers)


def _gaussians_of_block(
    opened: Opened, fields: dict[str, NDArray[np.float32]], number: int
) -> None:
    """Puts block ``number`` into the rows of ``fields`` that are its own."""
    values = [group.values for group in opened.block(number)]
    own = {name: field[opened.slices[number]] for name, field in fields.items()}
    degree = math.isqrt(fields["sh_rest"].shape[1])  # of (degree + 1)**2 - 1
    for rows in in_slices(len(values[0])):
        part = arrays([v[rows] for v in values], opened.model, degree)
        for name, field in own.items():
            field[rows] = part[name]


def _anchors_of_block(
    opened: Opened, fields: dict[str, NDArray[np.float32]], number: int
) -> None:
    """As `_gaussians_of_block`; group by group, for anchors can be wide."""
    own = anchor_columns({n: f[opened.slices[number]] for n, f in fields.items()})
    models = iter(opened.model.groups)
    for group, target in zip(opened.block(number), own, strict=True):
        if group.family is None:
            target[:] = group.values
            continue
        model = next(models)
        for rows in in_slices(len(target)):
            target[rows] = floats(group.values[rows], model)


@dataclass(frozen=True)
class DecodedGroup:
    """A group of one block, and how it was coded. All arrays are (rows, columns).

    Attributes:
        attribute: Whose stream holds it.
        values: int64, quanta.
        residuals: int64, the coded integers.
        levels: uint8, the table that coded each of them.
        family: Of these tables; None for decisions.
        present: bool, which values were coded; None for all.
    """

    attribute: Attribute
    values: NDArray[np.int64]
    residuals: NDArray[np.int64]
    levels: NDArray[np.uint8]
    family: Family | None
    present: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Opened:
    """A file of which everything is decoded but its blocks.

    Attributes:
        model: Grid and networks.
        layout: The groups in coding order.
        streams: By attribute and block.
        positions: (C, 3) float32, scene units, of the primitives that are not outliers.
        u: (C, 3) uint16, the positions as the grid sees them.
        outliers: Arrays of the others, which come last; nothing if there are none.
        slices: The rows of each block.
        blueprint: Of anchors, None for Gaussians.
    """

    model: Model
    layout: tuple[tuple[Attribute, Group], ...]
    streams: dict[tuple[Attribute, int], bytes]
    positions: NDArray[np.float32]
    u: NDArray[np.uint16]
    outliers: Fields
    slices: list[slice]
    blueprint: Blueprint | None

    def threads(self, wanted: int | None) -> int:
        """As many as are ``wanted``, or fewer, so that their blocks fit `_WORKING_BYTES`."""
        rows = int(self.slices[0].stop)
        columns = [group.columns for _, group in self.layout]
        values = sum(columns) if self.blueprint is None else 0  # those of anchors are not kept
        row = context_width(self.model, self.layout) + 8 * values + _GROUP_BYTES * max(columns)
        return min(wanted or os.cpu_count() or 1, max(1, _WORKING_BYTES // (rows * row)))

    def block(self, number: int) -> Iterator[DecodedGroup]:
        """The groups of block ``number``, in coding order.

        Raises:
            FormatError: A stream is damaged; of bytes left over, at the end of the iteration.
        """
        attributes = _by_block(self.layout, self.blueprint)
        decoders = {a: Decoder(self.streams[a, number]) for a in attributes}
        known = context(self.model, self.layout, self.u[self.slices[number]])
        present = None
        if self.model.decisions is not None:
            masks = _masks(self.model.decisions, decoders[Attribute.MASK], known)
            present = offset_columns(masks.values == 1)
            yield masks
        for (attribute, group), model in zip(self.layout, self.model.groups, strict=True):
            centre, step, levels = model.predict(group, known.seen())
            coded = present if attribute is Attribute.OFFSET else None
            residuals = _residuals(decoders[attribute], levels, model.family, coded)
            values = centre
            for rows in in_slices(len(values)):
                values[rows] += residuals[rows] * step[rows]
            if coded is not None:
                values[~coded] = 0
            known.append(model.features(group, values))
            yield DecodedGroup(attribute, values, residuals, levels, model.family, coded)
        for decoder in decoders.values():
            decoder.finish()


def _masks(model: DecisionModel, decoder: Decoder, known: Context) -> DecodedGroup:
    logits = model.logits(known.seen())
    bits = decode_bits(decoder, logits.ravel()).reshape(logits.shape).astype(np.int64)
    known.append(model.features(bits))
    return DecodedGroup(Attribute.MASK, bits, bits, decision_classes(logits), None)


def _residuals(
    decoder: Decoder,
    levels: NDArray[np.uint8],
    family: Family,
    present: NDArray[np.bool_] | None,
) -> NDArray[np.int64]:
    """The coded integers, in the shape of ``levels``; zeros where none is ``present``."""
    if present is None:
        return decode_residuals(decoder, levels.ravel(), family).reshape(levels.shape)
    residuals = np.zeros(levels.shape, dtype=np.int64)
    residuals[present] = decode_residuals(decoder, levels[present], family)
    return residuals


def open_payload(payload: Payload, progress: Progress) -> Opened:
    """Decodes networks, grid and positions.

    Raises:
        FormatError: Streams are missing or inconsistent.
    """
    header = payload.header
    blueprint = blueprint_of(payload)
    outliers = decode_outliers(payload, blueprint)
    count = header.count - outlier_count(outliers)
    _check_header(header, count, len(payload.streams))
    layout = _layout(header, blueprint)
    slices = blocks(count, header.block_size)
    shared = (*_SHARED, *(_ANCHORS_SHARED if blueprint else ()))
    whole = ((a, 0) for a in (*shared, *([Attribute.OUTLIER] if outliers else [])))
    by_block = ((a, b) for b in range(len(slices)) for a in _by_block(layout, blueprint))
    streams = streams_of(payload, (*whole, *by_block))
    progress("networks", 0.0)
    decisions = blueprint.offsets if blueprint else 0
    model = decode_model(streams, layout, decisions, header.position_bits)
    progress("positions", 0.0)
    positions = Decoder(streams[Attribute.POSITION, 0])
    codes = octree.decode(positions, count, header.position_bits)
    positions.finish()
    ijk = morton.decode(codes)
    lattice = Lattice(header.lattice_origin, header.lattice_step, header.position_bits)
    u = model.box.normalise(ijk).astype(np.uint16)
    return Opened(
        model, layout, streams, lattice.positions(ijk), u, outliers, slices, blueprint
    )


def _layout(header: Header, blueprint: Blueprint | None) -> tuple[tuple[Attribute, Group], ...]:
    if blueprint is None:
        return groups(header.sh_degree)
    return anchor_groups(blueprint.features, blueprint.offsets)


def _by_block(
    layout: Sequence[tuple[Attribute, Group]], blueprint: Blueprint | None
) -> tuple[Attribute, ...]:
    """Attributes that have a stream in every block."""
    masks = () if blueprint is None else (Attribute.MASK,)
    return (*masks, *dict.fromkeys(a for a, _ in layout))


def _check_header(header: Header, count: int, streams: int) -> None:
    """Refuses what the container allows and this method does not, of ``count`` in blocks."""
    if not header.count or not header.position_bits:
        raise FormatError(
            f"method hac: found {header.count} primitives and {header.position_bits} position "
            "bits, expected at least 1 of each"
        )
    if header.block_size > MAX_BLOCK_SIZE:
        raise FormatError(
            f"method hac: found blocks of {header.block_size}, expected at most {MAX_BLOCK_SIZE}"
        )
    if -(-count // header.block_size) > streams:
        raise FormatError(
            f"method hac: {streams} streams cannot hold {count} primitives "
            f"in blocks of {header.block_size}"
        )


def decode_model(
    streams: dict[tuple[Attribute, int], bytes],
    layout: Sequence[tuple[Attribute, Group]],
    decisions: int,
    position_bits: int,
) -> Model:
    """Grid first: its width decides how many inputs the networks have."""
    decoder = Decoder(streams[Attribute.GRID, 0])
    grid, box = decode_grid(decoder, position_bits)
    decoder.finish()
    decoder = Decoder(streams[Attribute.NETWORKS, 0])
    width = POSITION_FEATURES + grid.features
    masks = None
    if decisions:
        masks = DecisionModel(decode_network(decoder, width, decisions))
        width += decisions
    models = []
    for _, group in layout:
        models.append(decode_group_model(decoder, group, width))
        width += group.features
    decoder.finish()
    return Model(grid, box, tuple(models), masks)
