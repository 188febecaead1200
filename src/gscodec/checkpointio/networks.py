"""Archives of torch -> `RenderingNetworks`, whichever way the folder stores them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gscodec.anchors import Perceptron, RenderingNetworks, Storage
from gscodec.checkpointio.archive import open_archive
from gscodec.checkpointio.layout import (
    ACTIVATIONS,
    APPEARANCE_FILE,
    APPEARANCE_KEYS,
    APPEARANCE_WEIGHT,
    HAC_FILE,
    REQUIRED_NETWORKS,
    UNITED_FILE,
    WEIGHTS,
    network_file,
    network_key,
)
from gscodec.checkpointio.pickles import Record, Tensor, Value
from gscodec.errors import SceneError
from gscodec.notes import Note
from gscodec.sceneio.columns import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from gscodec.checkpointio.archive import Archive

_APPEARANCE = "appearance"
_MAX_VALUES, _MAX_PATH = 1000, 200


@dataclass(frozen=True)
class FoundNetworks:
    """The networks of a checkpoint.

    Attributes:
        networks: What renders it.
        storage: How they were stored.
        notes: One line for each thing that was left out or changed.
    """

    networks: RenderingNetworks
    storage: Storage
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _State:
    """One network as it was found: a state dict or a module, and the archive it is in."""

    archive: Archive
    value: Value
    name: str

    def floats(self, tensor: Tensor, weight: str) -> NDArray[np.float32]:
        """The values of ``tensor``, all finite."""
        values = self.archive.floats(tensor)
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            raise SceneError(
                f"{self.name}: {weight}: found {len(bad)} of {values.size} values with NaN or "
                f"infinity (first: index {bad[0]} is {values.flat[bad[0]]})"
            )
        return values


def read_networks(files: Mapping[str, bytes], folder: str, name: str) -> FoundNetworks:
    """Reads the networks that stand in ``folder`` of ``files``.

    Args:
        files: File name -> content.
        folder: What stands before the names, with the slash.
        name: The checkpoint's name, for errors.

    Raises:
        SceneError: A network is missing, damaged, or not of the shape that checkpoints have.
    """
    one_each = f"{folder}{network_file('opacity')}" in files
    find = _separate if one_each else _united
    storage, states, left_out = find(files, folder, name)
    missing = [n for n in REQUIRED_NETWORKS if n not in states]
    if missing:
        raise SceneError(
            f"{name}: {folder or 'the folder'} has no network {', '.join(missing)}, expected "
            f"{', '.join(map(network_file, REQUIRED_NETWORKS))}, {UNITED_FILE} or {HAC_FILE}"
        )
    perceptrons = {n: _perceptron(state, n) for n, state in states.items() if n in ACTIVATIONS}
    networks = RenderingNetworks(
        opacity=perceptrons["opacity"],
        covariance=perceptrons["cov"],
        color=perceptrons["color"],
        feature_bank=perceptrons.get("feature_bank"),
        appearance=_embedding(states[_APPEARANCE]) if _APPEARANCE in states else None,
    )
    return FoundNetworks(networks, storage, (*_notes(left_out), *_notes_on_types(states)))


def _separate(
    files: Mapping[str, bytes], folder: str, name: str
) -> tuple[Storage, dict[str, _State], list[str]]:
    """One file for each network."""
    paths = {n: f"{folder}{network_file(n)}" for n in ACTIVATIONS}
    paths[_APPEARANCE] = f"{folder}{APPEARANCE_FILE}"
    states = {}
    for network, path in paths.items():
        if path in files:
            archive = open_archive(files[path], f"{name}: {path}")
            states[network] = _State(archive, archive.value, archive.name)
    traced = all(isinstance(state.value, Record) for state in states.values())
    return Storage.TORCHSCRIPT if traced else Storage.STATE_DICTS, states, []


def _united(
    files: Mapping[str, bytes], folder: str, name: str
) -> tuple[Storage, dict[str, _State], list[str]]:
    """One file for all networks; also the keys that no renderer needs."""
    storages = {f"{folder}{UNITED_FILE}": Storage.UNITED, f"{folder}{HAC_FILE}": Storage.HAC}
    path = next((p for p in storages if p in files), None)
    if path is None:
        return Storage.TORCHSCRIPT, {}, []
    archive = open_archive(files[path], f"{name}: {path}")
    if not isinstance(archive.value, dict):
        raise SceneError(f"{archive.name}: expected a dict of state dicts")
    network_of = {network_key(n): n for n in ACTIVATIONS} | dict.fromkeys(
        APPEARANCE_KEYS, _APPEARANCE
    )
    states = {
        network_of[key]: _State(archive, value, f"{archive.name}: {key}")
        for key, value in archive.value.items()
        if key in network_of
    }
    return storages[path], states, [key for key in archive.value if key not in network_of]


def _perceptron(state: _State, network: str) -> Perceptron:
    _check_layers(state.value, ACTIVATIONS[network], state.name)
    arrays = _weights(state, WEIGHTS)
    try:
        return Perceptron(*arrays)
    except SceneError as error:
        raise SceneError(f"{state.name}: {error}") from error


def _embedding(state: _State) -> NDArray[np.float32]:
    (weight,) = _weights(state, (APPEARANCE_WEIGHT.rpartition(".")[2],))
    if weight.ndim != 2:
        raise SceneError(f"{state.name}: weight of shape {weight.shape}, expected a matrix")
    return weight


def _weights(state: _State, wanted: tuple[str, ...]) -> list[NDArray[np.float32]]:
    """The tensors ``wanted``, which must be all that there are but for a common prefix."""
    tensors = _tensors(state.value, state.name)
    names = sorted(tensors)
    # "net.0.weight" has the prefix "net.", but "10.weight" has not the prefix "1".
    prefixes = {n[: -len(wanted[0])] for n in names if f".{n}".endswith(f".{wanted[0]}")}
    prefix = min(prefixes, default="")
    if names != sorted(prefix + w for w in wanted):
        what = counted([f"{n[:40]!a}" for n in names], "tensor", "tensors")
        raise SceneError(f"{state.name}: found {what}; expected {', '.join(wanted)}")
    return [state.floats(tensors[prefix + w], w) for w in wanted]


def _tensors(value: Value, name: str) -> dict[str, Tensor]:
    """The tensors below ``value`` by dotted name; other values are passed over."""
    found: dict[str, Tensor] = {}
    waiting: list[tuple[str, Value]] = [("", value)]
    # A pickle may name one dict many times: without limits, few bytes would be endless work.
    for _ in range(_MAX_VALUES):
        if not waiting:
            return found
        path, item = waiting.pop()
        if isinstance(item, Tensor):
            found[path.removesuffix(".")] = item
        inner = item.attributes if isinstance(item, Record) else item
        if isinstance(inner, dict):
            if len(path) > _MAX_PATH or len(waiting) + len(inner) > _MAX_VALUES:
                break
            waiting += [(f"{path}{key[:_MAX_PATH]}.", below) for key, below in inner.items()]
    raise SceneError(
        f"{name}: names of more than {_MAX_PATH} characters or more than {_MAX_VALUES} values, "
        "expected a network"
    )


def _check_layers(value: Value, activation: str | None, name: str) -> None:
    """Whether a traced module has the layers that are computed here; a state dict cannot tell."""
    if not isinstance(value, Record) or "0" not in value.attributes:
        return
    layers = [
        item.kind.rpartition(".")[2][:40]
        for item in value.attributes.values()
        if isinstance(item, Record)
    ]
    wanted = ["Linear", "ReLU", "Linear", *([activation] if activation else [])]
    if layers != wanted:
        raise SceneError(f"{name}: found layers {layers[:8]!a}, expected {', '.join(wanted)}")


def _notes(left_out: list[str]) -> tuple[str, ...]:
    if not left_out:
        return ()
    shown = [f"{key[:40]}" if key.isidentifier() else f"{key[:40]!a}" for key in left_out]
    what = counted(shown, "network", "networks")
    told = f"left out {what}; rendering does not need what coded or trained the scene"
    return (Note(told, "networks-left-out", networks=len(left_out)),)


def _notes_on_types(states: dict[str, _State]) -> tuple[str, ...]:
    kinds = {
        t.storage.kind for s in states.values() for t in _tensors(s.value, s.name).values()
    }
    others = sorted(kinds - {"torch.FloatStorage"})
    told = (f"network weights of {kind} converted to float32" for kind in others)
    return tuple(Note(note, "weights-converted") for note in told)
