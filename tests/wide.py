"""Valid files that cost a decoder the most for their bytes: wide anchors, wide networks, zeros."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from gscodec.anchors import Storage
from gscodec.coding import Encoder, Family, encode_bits, encode_residuals
from gscodec.geometry.nodes import Nodes
from gscodec.intnet.basis import ENTRY_MAX, Basis
from gscodec.intnet.box import POSITION_FEATURES, Box
from gscodec.intnet.context import AnyModel, DecisionModel, UnitModel
from gscodec.intnet.hashgrid import GridLevel, HashGrid
from gscodec.intnet.latents import (
    MAX_CHANNELS,
    MAX_FEATURES,
    MAX_LEVELS,
    Latents,
    encode_values,
)
from gscodec.intnet.neighbours import FIRST, columns_of
from gscodec.intnet.network import Layer, Network
from gscodec.intnet.pool import Pool
from gscodec.intnet.prediction import Prediction
from gscodec.kinds.anchors import anchor_units
from gscodec.kinds.blueprint import Blueprint, IntegerNetworks
from gscodec.learned import assembly, positions
from gscodec.learned.networks import Networks
from gscodec.methods import hac, hemgs, predict_gs, ralhe
from gscodec.payload import Attribute, Header, Method, Payload, SceneKind, Stream
from gscodec.units import Place

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.learned.model import Model
    from gscodec.units import Unit

BITS = 8
_BOX = Box((0, 0, 0), 1 << BITS)
_STEP_BIAS, _LEVEL = 87, 0  # the coarsest steps, at which a zero costs next to nothing


def wide_anchors(
    count: int,
    features: int,
    offsets: int,
    hidden: tuple[int, ...],
    method: Method = Method.HAC,
) -> Payload:
    """``count`` anchors of one block, all of them zero, under networks of zeros.

    Args:
        count: Number of anchors, at most 65,536.
        features: F.
        offsets: K.
        hidden: Widths of the hidden layers of every context network.
        method: One that learns. All laws are the same at every turn, so streams are, too.
    """
    units = anchor_units(features, offsets)
    streams = {Attribute.MASK: Encoder()}
    ones = np.ones(count * offsets, np.int64)
    encode_bits(streams[Attribute.MASK], ones, np.zeros(len(ones), np.float32))
    for unit in units[1:]:
        values = np.zeros(count * unit.columns, np.int64)
        levels = np.full(len(values), _LEVEL, np.uint8)
        encoder = streams.setdefault(unit.attribute, Encoder())
        encode_residuals(encoder, values, levels, Family.LAPLACE)
    side = 1 << BITS
    cells = np.random.default_rng(0).choice(side**3, count, replace=False)
    codes = np.sort(cells.astype(np.uint64))
    model: Model = _hac(units, hidden)
    if method is Method.HEMGS:
        model = _hemgs(units, hidden)
    elif method is Method.RALHE:
        model = _ralhe(units, hidden, codes)
    elif method is Method.PREDICT_GS:
        model = predict_gs.Model(_hemgs(units, hidden), _prediction(features, hidden))
    blueprint = Blueprint(
        Storage.HAC, False, 0, features, offsets, None, (False,) * 3, (1, 1, 1, 0), ""
    )
    shapes = blueprint.shapes()
    empty = IntegerNetworks(tuple(np.zeros(s, np.int64) for s in shapes), (0,) * len(shapes))
    corner = (0.0, 0.0, 0.0)
    header = Header(
        kind=SceneKind.ANCHORS,
        method=method,
        count=count,
        sh_degree=0,
        has_normals=False,
        block_size=65_536,
        position_bits=BITS,
        lattice_origin=corner,
        lattice_step=1.0,
        bounds_min=corner,
        bounds_max=(float(side), float(side), float(side)),
        scene_sha256=b"\1" * 32,
    )
    parts = [part() for part in positions.works(codes, BITS, header.block_size)]
    placed = positions.numbered(parts, header.block_size)
    return Payload(
        header,
        (
            *assembly.streams(model, placed, ()),
            *(Stream(attribute, 0, e.finish()) for attribute, e in streams.items()),
            Stream(Attribute.RENDERING, 0, empty.encode()),
            Stream(Attribute.CHECKPOINT, 0, blueprint.encode()),
        ),
    )


def _hac(units: tuple[Unit, ...], hidden: tuple[int, ...]) -> hac.Model:
    """As many tables as a grid can have."""
    grid = _grid()
    width, models = POSITION_FEATURES + grid.features, []
    for unit in units:
        models.append(_model(unit, width, hidden))
        width += unit.features
    return hac.Model(grid, _BOX, Networks(units, tuple(models)))


def _hemgs(units: tuple[Unit, ...], hidden: tuple[int, ...], more: int = 0) -> hemgs.Model:
    """Later units see all neighbours of earlier ones; all see ``more`` columns."""
    width, models = FIRST + more, []
    for unit in units:
        width += columns_of(unit)
        models.append(_model(unit, width, hidden))
        width += unit.features
    gains = tuple(np.zeros(0 if u.decides else u.columns, np.int64) for u in units)
    networks = Networks(units, tuple(models))
    return hemgs.Model(_BOX, 60, networks, gains, (True,) * len(units))


def _ralhe(
    units: tuple[Unit, ...], hidden: tuple[int, ...], codes: NDArray[np.uint64]
) -> ralhe.Model:
    """As many latents as there can be, on the finest levels that there can be."""
    place, depths = Place(codes, BITS), tuple(range(BITS - MAX_LEVELS + 1, BITS + 1))
    entropy = (_zeros(3 * MAX_CHANNELS, hidden, 2 * MAX_CHANNELS),) * MAX_LEVELS
    synthesis = _zeros(2 * MAX_CHANNELS * MAX_LEVELS, hidden, MAX_FEATURES)
    latents = Latents(depths, MAX_CHANNELS, entropy, (synthesis,))
    levels = [Nodes.of(place, depth) for depth in depths]
    values = [np.zeros((len(nodes), MAX_CHANNELS), np.int64) for nodes in levels]
    around = _hemgs(units, hidden, MAX_FEATURES)
    parts = around.box, around.usual, around.networks, around.gains, around.kept
    return ralhe.Model(*parts, latents, encode_values(latents, levels, values))


def _prediction(features: int, hidden: tuple[int, ...]) -> Prediction:
    """Of a pool with as many tables as there can be, and a full matrix."""
    grid = _grid()
    network = _zeros(POSITION_FEATURES + grid.features, hidden, features)
    basis = Basis(np.full((features, features), ENTRY_MAX), np.zeros(features, np.int64))
    return Prediction(basis, Pool(grid, _BOX, 0, 0, network))


def _grid() -> HashGrid:
    return HashGrid((GridLevel(2, 4, 4),) * 32, (np.ones((16, 4), np.bool_),) * 96)


def _model(unit: Unit, width: int, hidden: tuple[int, ...]) -> AnyModel:
    """Of zeros, with ``width`` inputs."""
    network = _zeros(width, hidden, unit.outputs)
    if unit.decides:
        return DecisionModel(network)
    return UnitModel(Family.LAPLACE, 0, 0, 3, _STEP_BIAS, network)


def _zeros(inputs: int, hidden: tuple[int, ...], outputs: int) -> Network:
    widths = [inputs, *hidden, outputs]
    return Network(
        tuple(
            Layer(np.zeros((rows, columns), np.float32), np.zeros(columns, np.float32))
            for rows, columns in pairwise(widths)
        ),
        0,
    )
