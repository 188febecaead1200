"""`AnchorScene` -> a checkpoint folder, as the program writes it that reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gscodec.anchors import Storage
from gscodec.checkpointio.layout import (
    ACTIVATIONS,
    APPEARANCE_FILE,
    APPEARANCE_KEYS,
    APPEARANCE_WEIGHT,
    CUSTOMARY,
    DESCRIPTION_FILE,
    HAC_FILE,
    NUMBERED,
    SCENE_FILE,
    UNITED_FILE,
    WEIGHTS,
    columns_of,
    iteration_folder,
    network_file,
    network_key,
    written_order,
)
from gscodec.checkpointio.settings import is_plain
from gscodec.checkpointio.state_dicts import write_state_dict
from gscodec.sceneio.extra_names import notes_on_names, written_names
from gscodec.sceneio.writer import add_extras, write_columns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.anchors import AnchorScene, Perceptron, RenderingNetworks
    from gscodec.scene import ExtraProperty
    from gscodec.sceneio.rows import Columns

_MASK_LOGIT = 10.0  # far from the threshold on either side, and never taken for 0 or 1


def write_checkpoint(scene: AnchorScene) -> dict[str, bytes]:
    """Writes ``scene``; `read_checkpoint` gives it back bit for bit.

    Text of cfg_args that is no plain list of settings is left out: see `settings`.

    Returns:
        Path relative to the model folder, with "/" -> content.

    Raises:
        SceneError: An extra property has a type that a .ply cannot hold.
        UsageError: Networks are stored as TorchScript, and torch is missing.
    """
    folder = iteration_folder(scene.iteration)
    files = {SCENE_FILE: write_columns(_columns(scene))}
    match scene.storage:
        case Storage.TORCHSCRIPT:
            files |= _traces(scene.networks)
        case Storage.STATE_DICTS:
            files |= _state_dicts(scene.networks)
        case Storage.UNITED:
            files[UNITED_FILE] = _united(scene.networks)
        case Storage.HAC:
            files[HAC_FILE] = _united(scene.networks)
    description = scene.description.encode("utf-8")
    return {
        **({DESCRIPTION_FILE: description} if is_plain(scene.description) else {}),
        **{folder + name: data for name, data in files.items()},
    }


def _columns(scene: AnchorScene) -> Columns:
    """Every column that is written, (N,) each, by name and in order."""
    n, masked = len(scene), scene.masks is not None
    sizes = (scene.feature_width, scene.offset_count)
    names = columns_of(*sizes, masked=masked)
    arrays = scene.attributes()
    if scene.masks is not None:
        arrays["masks"] = np.where(scene.masks, _MASK_LOGIT, -_MASK_LOGIT).astype(np.float32)
    values: Columns = {name: np.full(n, value, np.float32) for name, value in CUSTOMARY.items()}
    for field, of_field in names.items():
        flat = arrays[field].reshape(n, len(of_field))
        values |= {name: flat[:, i] for i, name in enumerate(of_field)}
    extras = {extra.name: extra.values for extra in scene.extras}
    values |= {name: extras[name] for name in CUSTOMARY if name in extras}
    columns = {name: values[name] for name in written_order(*sizes, masked=masked)}
    add_extras(columns, _others(scene), NUMBERED)
    return columns


def renamed_extras(scene: AnchorScene) -> tuple[str, ...]:
    """A note for each extra property whose name `write_checkpoint` has to change."""
    sizes, others = (scene.feature_width, scene.offset_count), _others(scene)
    order = written_order(*sizes, masked=scene.masks is not None)
    return notes_on_names(others, written_names(others, order, NUMBERED))


def _others(scene: AnchorScene) -> list[ExtraProperty]:
    """The extra properties that have no column of their own."""
    return [extra for extra in scene.extras if extra.name not in CUSTOMARY]


def _weights(network: Perceptron) -> dict[str, NDArray[np.float32]]:
    return dict(zip(WEIGHTS, network.arrays(), strict=True))


def _traces(networks: RenderingNetworks) -> dict[str, bytes]:
    from gscodec.checkpointio.traces import trace_embedding, trace_network

    files = {
        network_file(name): trace_network(network, ACTIVATIONS[name])
        for name, network in networks.named().items()
    }
    if networks.appearance is not None:
        files[APPEARANCE_FILE] = trace_embedding(networks.appearance)
    return files


def _state_dicts(networks: RenderingNetworks) -> dict[str, bytes]:
    files = {
        network_file(name): write_state_dict(_weights(network))
        for name, network in networks.named().items()
    }
    if networks.appearance is not None:
        files[APPEARANCE_FILE] = write_state_dict({APPEARANCE_WEIGHT: networks.appearance})
    return files


def _united(networks: RenderingNetworks) -> bytes:
    states = {network_key(n): _weights(network) for n, network in networks.named().items()}
    if networks.appearance is not None:
        states[APPEARANCE_KEYS[-1]] = {APPEARANCE_WEIGHT: networks.appearance}
    return write_state_dict(states)
