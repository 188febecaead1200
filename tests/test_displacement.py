"""Positions between the centres of cells: along the axes of each Gaussian."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import gscodec
from anchors import small_views
from gscodec.container import unpack
from gscodec.errors import FormatError
from gscodec.geometry import Lattice, morton
from gscodec.geometry.rotation import along_axes, rotated
from gscodec.kinds import Gaussians, kind_of
from gscodec.payload import Attribute
from gscodec.scene import GaussianScene
from scenes import make_scene

RNG = np.random.default_rng(5)
QUICK: dict[str, Any] = {"training": 30, "views": small_views()}


def test_vectors_turn_as_matrices_turn_them() -> None:
    quats = RNG.normal(size=(50, 4))
    quats /= np.linalg.norm(quats, axis=1, keepdims=True)
    vectors = RNG.normal(size=(50, 3))
    w, x, y, z = quats.T
    matrix = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    turned = rotated(quats, vectors)
    np.testing.assert_allclose(turned, np.einsum("abn,nb->na", matrix, vectors), atol=1e-12)
    np.testing.assert_allclose(along_axes(quats, turned), vectors, atol=1e-12)


def _fields(quats: np.ndarray, moves: np.ndarray) -> dict[str, np.ndarray]:
    return {"quats": quats.astype(np.float32), "displacements": moves.astype(np.float32)}


def test_a_displacement_is_along_the_own_axes() -> None:
    lattice = Lattice((1.0, 2.0, 3.0), 0.5, 4)
    codes = morton.encode(np.array([[1, 2, 3], [1, 2, 3]]))
    about_z = np.array([[1, 0, 0, 0], [0.5**0.5, 0, 0, 0.5**0.5]])
    fields = _fields(about_z, np.array([[0.5, 0, 0], [0.5, 0, 0]]))
    positions = Gaussians(0, displaced=True).positions(lattice, codes, fields)
    np.testing.assert_allclose(positions, [[1.75, 3, 4.5], [1.5, 3.25, 4.5]], atol=1e-6)
    assert list(fields) == ["quats"]


def test_a_position_that_no_float_holds_is_refused() -> None:
    lattice = Lattice((0.0, 0.0, 0.0), 1e30, 1)
    fields = _fields(np.array([[1, 0, 0, 0]]), np.array([[1e30, 0, 0]]))
    with pytest.raises(FormatError, match="no float32"):
        Gaussians(0, displaced=True).positions(lattice, np.zeros(1, np.uint64), fields)


@pytest.mark.parametrize("method", ["hac", "hemgs"])
def test_positions_come_back_better_than_cells_tell(method: str) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("numba")
    scene = make_scene(1500, 0, 3)
    scene = replace(scene, log_scales=scene.log_scales - np.float32(3))
    data = gscodec.encode(scene, method, **QUICK, keep_all=True)
    payload = unpack(data)
    assert kind_of(payload).units[-1].attribute is Attribute.DISPLACEMENT
    decoded, header = gscodec.decode(data), payload.header
    assert isinstance(decoded, GaussianScene)
    lattice = Lattice(header.lattice_origin, header.lattice_step, header.position_bits)
    cells = lattice.quantize(scene.means)
    order = np.argsort(morton.encode(cells), kind="stable")
    found = np.abs(decoded.means - scene.means[order]).mean()
    assert found < 0.5 * np.abs(lattice.positions(cells) - scene.means).mean()


def test_a_given_depth_is_that_of_all_positions() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("numba")
    scene = make_scene(1500, 0, 3)
    payload = unpack(gscodec.encode(scene, "hac", position_bits=9, **QUICK))
    assert Attribute.DISPLACEMENT not in {s.attribute for s in payload.streams}
