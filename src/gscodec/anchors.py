"""Scaffold-GS scenes as values: anchors, what hangs on them, and the networks that render them.

An anchor scene holds raw trained parameters, as a checkpoint stores them (Lu et al., CVPR 2024):
the Gaussians that are drawn are made anew for every camera, by `gscodec.render.neural`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from enum import IntEnum, unique
from typing import TYPE_CHECKING

import numpy as np

from gscodec.errors import SceneError
from gscodec.room import MEMORY
from gscodec.scene import ExtraProperty, GaussianScene, require_arrays

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gscodec.room import Room

SCALINGS = 6  # per anchor: three for its offsets, three for its Gaussians
BANK_INPUTS, BANK_OUTPUTS = 4, 3
# Outputs of the networks for each offset.
OPACITIES, COVARIANCES, COLORS = 1, 7, 3


@unique
class Storage(IntEnum):
    """How a checkpoint folder stores its networks; numbers are wire identities."""

    TORCHSCRIPT = 1  # one trace per network: opacity_mlp.pt, cov_mlp.pt, color_mlp.pt
    STATE_DICTS = 2  # one state dict per network, in files of the same names
    UNITED = 3  # checkpoints.pth, a dict of state dicts (Scaffold-GS)
    HAC = 4  # checkpoint.pth, a dict of state dicts, and masks in the .ply (HAC, HAC++)


@dataclass(frozen=True)
class Perceptron:
    """Linear, ReLU, linear; x @ weight.T + bias, as torch stores it. All float32.

    Attributes:
        hidden_weight: (H, inputs)
        hidden_bias: (H,)
        out_weight: (outputs, H)
        out_bias: (outputs,)
    """

    hidden_weight: NDArray[np.float32]
    hidden_bias: NDArray[np.float32]
    out_weight: NDArray[np.float32]
    out_bias: NDArray[np.float32]

    def __post_init__(self) -> None:
        hidden = len(self.hidden_bias) if self.hidden_bias.ndim == 1 else -1
        outputs = len(self.out_bias) if self.out_bias.ndim == 1 else -1
        inputs = self.hidden_weight.shape[-1] if self.hidden_weight.ndim == 2 else -1
        wanted = {
            "hidden_weight": (hidden, inputs),
            "hidden_bias": (hidden,),
            "out_weight": (outputs, hidden),
            "out_bias": (outputs,),
        }
        _check_arrays("network", self, wanted)

    @property
    def inputs(self) -> int:
        """Width of what it takes."""
        return int(self.hidden_weight.shape[1])

    @property
    def outputs(self) -> int:
        """Width of what it gives, before the output's activation."""
        return len(self.out_bias)

    def arrays(self) -> tuple[NDArray[np.float32], ...]:
        """The four arrays, in the order of the fields."""
        return (self.hidden_weight, self.hidden_bias, self.out_weight, self.out_bias)


@dataclass(frozen=True)
class RenderingNetworks:
    """What turns anchors into Gaussians.

    Inputs in this order: feature F, view direction 3, distance 1 (where the width says so), and
    for colours the appearance of the camera (where there is one).

    Attributes:
        opacity: To K values, before tanh.
        covariance: To 7 K values: per offset 3 scale logits, then a quaternion w, x, y, z.
        color: To 3 K values, before the sigmoid.
        feature_bank: From direction and distance to 3 weights before softmax, or None.
        appearance: (cameras, A) float32 embedding, or None.
    """

    opacity: Perceptron
    covariance: Perceptron
    color: Perceptron
    feature_bank: Perceptron | None = None
    appearance: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        appearance = self.appearance
        if appearance is not None and (appearance.ndim != 2 or appearance.dtype != np.float32):
            raise SceneError(
                f"appearance: found {appearance.dtype} {appearance.shape}, "
                "expected float32 (cameras, width)"
            )

    def named(self) -> dict[str, Perceptron]:
        """The networks that are there, by the names that checkpoints use."""
        found = {"opacity": self.opacity, "cov": self.covariance, "color": self.color}
        if self.feature_bank is not None:
            found["feature_bank"] = self.feature_bank
        return found

    def arrays(self) -> tuple[NDArray[np.float32], ...]:
        """All arrays, in the order of `named`, the appearance last."""
        parts = [array for network in self.named().values() for array in network.arrays()]
        return (*parts, *(() if self.appearance is None else (self.appearance,)))

    def with_weights(self, arrays: Sequence[NDArray[np.float32]]) -> RenderingNetworks:
        """Other weights, in the order of `named`, and the same appearance."""
        parts = [Perceptron(*arrays[n : n + 4]) for n in range(0, len(arrays), 4)]
        return RenderingNetworks(
            parts[0],
            parts[1],
            parts[2],
            parts[3] if self.feature_bank is not None else None,
            self.appearance,
        )


@dataclass(frozen=True, repr=False)
class AnchorScene:
    """A trained Scaffold-GS scene.

    Attributes:
        anchors: (N, 3) float32, positions in scene units.
        features: (N, F) float32.
        log_scalings: (N, 6) float32; exp() of the first three scales offsets, of the others
            the Gaussians.
        offsets: (N, K, 3) float32, in units of the anchor's scaling.
        masks: (N, K) bool, which Gaussians exist (HAC), or None where all do (Scaffold-GS).
        networks: What renders it.
        storage: How its networks were stored.
        description: The text of cfg_args, empty if there was none.
        iteration: Number of the folder iteration_N it came from, 0 if none.
        extras: Further vertex properties, kept without loss.

    Raises:
        SceneError: If shapes or dtypes disagree, among themselves or with the networks.
    """

    anchors: NDArray[np.float32]
    features: NDArray[np.float32]
    log_scalings: NDArray[np.float32]
    offsets: NDArray[np.float32]
    masks: NDArray[np.bool_] | None
    networks: RenderingNetworks
    storage: Storage = Storage.TORCHSCRIPT
    description: str = ""
    iteration: int = 0
    extras: tuple[ExtraProperty, ...] = field(default=())

    def __post_init__(self) -> None:
        require_arrays("scene", self.attributes())
        n = len(self.anchors) if self.anchors.ndim else 0
        width = self.features.shape[-1] if self.features.ndim == 2 else -1
        count = self.offsets.shape[1] if self.offsets.ndim == 3 else -1
        wanted = {
            "anchors": (n, 3),
            "features": (n, width),
            "log_scalings": (n, SCALINGS),
            "offsets": (n, count, 3),
        }
        _check_arrays("scene", self, wanted)
        if self.masks is not None and (
            self.masks.shape != (n, count) or self.masks.dtype != np.bool_
        ):
            raise SceneError(
                f"scene.masks: found {self.masks.dtype} {self.masks.shape}, "
                f"expected bool {(n, count)}"
            )
        _check_networks(self.networks, width, count)
        for extra in self.extras:
            if extra.values.shape != (n,):
                raise SceneError(
                    f"extra property {extra.name}: found shape {extra.values.shape}, "
                    f"expected ({n},)"
                )

    @property
    def origin(self) -> tuple[float, float, float] | None:
        """As of Gaussians: anchors lie where the source has them."""
        return None

    def __len__(self) -> int:
        return len(self.anchors)

    def __repr__(self) -> str:
        each = f"of {self.offset_count} offsets and {self.feature_width} features"
        told = [f"{len(self):,} anchors {each}", *(extra.name for extra in self.extras)]
        return f"<AnchorScene: {', '.join(told)}>"

    @property
    def feature_width(self) -> int:
        """F."""
        return int(self.features.shape[1])

    @property
    def offset_count(self) -> int:
        """K, neural Gaussians per anchor."""
        return int(self.offsets.shape[1])

    def attributes(self) -> dict[str, NDArray[np.float32]]:
        """The four float32 arrays by field name, in the order of the fields."""
        names = ("anchors", "features", "log_scalings", "offsets")
        return {name: getattr(self, name) for name in names}

    def take(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> AnchorScene:
        """The anchors at ``index`` (int64 order or bool mask), as a new scene."""
        rows: dict[str, NDArray[np.float32]] = {
            name: array[index] for name, array in self.attributes().items()
        }
        return AnchorScene(
            **rows,
            masks=None if self.masks is None else self.masks[index],
            networks=self.networks,
            storage=self.storage,
            description=self.description,
            iteration=self.iteration,
            extras=tuple(ExtraProperty(e.name, e.values[index]) for e in self.extras),
        )

    def relative_to(self, origin: tuple[float, float, float] | None) -> AnchorScene:
        """The anchors in coordinates whose zero lies at ``origin``; None changes nothing.

        Not to be asked twice: unlike Gaussians they do not say where their zero is.
        """
        if origin is None:
            return self
        moved = (self.anchors.astype(np.float64) - np.array(origin)).astype(np.float32)
        return replace(self, anchors=moved)

    def digest(self, room: Room = MEMORY) -> bytes:  # noqa: ARG002 - anchors are in memory
        """SHA-256 (32 bytes) of all arrays, see format-spec.md, "Scene digest"."""
        sha = hashlib.sha256()
        for array in (*self.attributes().values(), *self.networks.arrays()):
            sha.update(np.ascontiguousarray(array, dtype="<f4").data)
        if self.masks is not None:
            sha.update(np.ascontiguousarray(self.masks, dtype=np.uint8).data)
        return sha.digest()


def _check_networks(networks: RenderingNetworks, width: int, count: int) -> None:
    """Whether the networks fit F = ``width`` and K = ``count``."""
    appearance = networks.appearance
    more = 0 if appearance is None else appearance.shape[1]
    for name, network, each, extra in (
        ("opacity", networks.opacity, OPACITIES, 0),
        ("cov", networks.covariance, COVARIANCES, 0),
        ("color", networks.color, COLORS, more),
    ):
        least = width + 3 + extra
        if network.inputs not in (least, least + 1) or network.outputs != each * count:
            raise SceneError(
                f"network {name}: found {network.inputs} inputs and {network.outputs} outputs, "
                f"expected {least} or {least + 1} and {each * count}: the anchors have "
                f"{width} features and {count} offsets"
            )
    bank = networks.feature_bank
    if bank is not None and (bank.inputs, bank.outputs) != (BANK_INPUTS, BANK_OUTPUTS):
        raise SceneError(
            f"network feature_bank: found {bank.inputs} inputs and {bank.outputs} outputs, "
            f"expected {BANK_INPUTS} and {BANK_OUTPUTS}"
        )
    if bank is not None and not len(bank.hidden_bias):
        raise SceneError("network feature_bank: found a hidden layer without neurons")
    if bank is not None and width % 4:
        raise SceneError(f"feature bank: found {width} features, expected a multiple of 4")


def _check_arrays(owner: str, value: object, wanted: dict[str, tuple[int, ...]]) -> None:
    for name, shape in wanted.items():
        array = getattr(value, name)
        if array.shape != shape or array.dtype != np.float32:
            raise SceneError(
                f"{owner}.{name}: found {array.dtype} {array.shape}, expected float32 {shape}"
            )


Scene = GaussianScene | AnchorScene
