"""The last step of encoding: streams and header, for both kinds of scene."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gscodec.coding import Encoder
from gscodec.geometry import octree
from gscodec.intnet.context import encode_group_model
from gscodec.intnet.hashgrid import encode_grid
from gscodec.intnet.network import encode_network
from gscodec.methods.hac.outliers import S, encode_outliers
from gscodec.payload import Attribute, Header, Method, SceneKind, Stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from gscodec.geometry import Lattice
    from gscodec.methods.hac.aside import Aside
    from gscodec.methods.hac.blocks import BlockEncoder
    from gscodec.methods.hac.layout import Model


def streams(
    model: Model, codes: NDArray[np.uint64], bits: int, done: Sequence[BlockEncoder]
) -> tuple[Stream, ...]:
    """Of the context model, of positions with Morton ``codes``, and of all blocks."""
    positions = Encoder()
    octree.encode(codes, bits, positions)
    networks, grid = model_streams(model)
    return (
        Stream(Attribute.NETWORKS, 0, networks),
        Stream(Attribute.GRID, 0, grid),
        Stream(Attribute.POSITION, 0, positions.finish()),
        *(
            Stream(attribute, number, data)
            for number, block in enumerate(done)
            for attribute, data in block.finish()
        ),
    )


def model_streams(model: Model) -> tuple[bytes, bytes]:
    """Networks and grid."""
    networks, grid = Encoder(), Encoder()
    if model.decisions is not None:
        encode_network(networks, model.decisions.network)
    for group in model.groups:
        encode_group_model(networks, group)
    encode_grid(grid, model.grid, model.box)
    return networks.finish(), grid.finish()


def outlier_stream(aside: Aside[S]) -> tuple[Stream, ...]:
    """Of what is set aside; no stream if nothing is."""
    if not len(aside.rows):
        return ()
    return (Stream(Attribute.OUTLIER, 0, encode_outliers(aside.outliers)),)


def header(
    kind: SceneKind,
    positions: NDArray[np.float32],
    lattice: Lattice,
    digest: bytes,
    *,
    block_size: int,
    sh_degree: int = 0,
    has_normals: bool = False,
) -> Header:
    """Of a scene with decoded ``positions`` (N, 3) on ``lattice``."""
    low, high = positions.min(axis=0).tolist(), positions.max(axis=0).tolist()
    return Header(
        kind=kind,
        method=Method.HAC,
        count=len(positions),
        sh_degree=sh_degree,
        has_normals=has_normals,
        block_size=block_size,
        position_bits=lattice.bits,
        lattice_origin=lattice.origin,
        lattice_step=lattice.step,
        bounds_min=(low[0], low[1], low[2]),
        bounds_max=(high[0], high[1], high[2]),
        scene_sha256=digest,
    )
