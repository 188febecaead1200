"""Bytes to scene; the bytes are specified in format-spec.md."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gscodec.coding import Decoder, decode_residuals
from gscodec.errors import FormatError, UnsupportedError
from gscodec.geometry import Lattice, morton, octree
from gscodec.intnet.context import Group, decode_group_model
from gscodec.intnet.hashgrid import decode_grid
from gscodec.methods import Progress, streams_of
from gscodec.methods.hac.layout import (
    BLOCK_SIZE,
    POSITION_FEATURES,
    Context,
    Model,
    arrays,
    blocks,
    context,
    groups,
    in_parallel,
    joined,
)
from gscodec.payload import Attribute, Header, Payload, SceneKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from gscodec.scene import GaussianScene


def decode(payload: Payload, progress: Progress, threads: int | None = None) -> GaussianScene:
    """Inverse of `encode`, with as many ``threads`` as there are processors if None.

    Raises:
        FormatError: Streams are missing or inconsistent.
    """
    header = payload.header
    _check_header(header, len(payload.streams))
    layout = groups(header.sh_degree)
    slices = blocks(header.count, header.block_size)
    whole = ((a, 0) for a in (Attribute.NETWORKS, Attribute.GRID, Attribute.POSITION))
    by_block = ((a, b) for b in range(len(slices)) for a, _ in layout)
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
        values = _decode_block(model, layout, data, context(model, layout, u[rows]))
        return arrays(values, model, header.sh_degree)

    parts = in_parallel(block, slices, threads, lambda share: progress("decode", share))
    scene = joined(lattice.positions(ijk), parts)
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
    width = POSITION_FEATURES + grid.features
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
    known: Context,
) -> list[NDArray[np.int64]]:
    """Values (rows, columns) of each group of one block, in quanta."""
    decoders = {attribute: Decoder(stream) for attribute, stream in data.items()}
    values = []
    for (attribute, group), group_model in zip(layout, model.groups, strict=True):
        centre, step, level = group_model.predict(group, known.seen())
        whole = decode_residuals(decoders[attribute], level.ravel(), group_model.family)
        values.append(centre + whole.reshape(centre.shape) * step)
        known.append(group_model.features(group, values[-1]))
    for decoder in decoders.values():
        decoder.finish()
    return values
