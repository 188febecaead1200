"""A checkpoint folder -> `AnchorScene`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gscodec.anchors import AnchorScene
from gscodec.checkpointio.hac import interpret
from gscodec.checkpointio.layout import (
    APPEARANCE_FILE,
    DESCRIPTION_FILE,
    SCENE_FILE,
    choose_files,
)
from gscodec.checkpointio.networks import read_networks
from gscodec.checkpointio.vertices import read_vertices
from gscodec.errors import SceneError
from gscodec.kinds.blueprint import MAX_DESCRIPTION
from gscodec.notes import Note

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gscodec.anchors import RenderingNetworks
    from gscodec.checkpointio.hac import Scaling
    from gscodec.checkpointio.layout import ChosenFiles


@dataclass(frozen=True)
class CheckpointResult:
    """A scene and what is known about the folder that it came from.

    Attributes:
        scene: The anchors, in file order.
        notes: One line for each thing that was chosen, dropped, rounded or left out.
    """

    scene: AnchorScene
    notes: tuple[str, ...]


def read_checkpoint(
    files: Mapping[str, bytes], *, name: str, scaling: Scaling = "auto"
) -> CheckpointResult:
    """Reads a model folder (its highest iteration) or an iteration folder itself.

    Sizes of networks, features and offsets are those of the arrays; cfg_args is kept as text
    and not consulted.

    Args:
        files: Path relative to the folder, with "/" -> content. More may be there than needed.
        name: The folder's name, for errors.
        scaling: Whether scale_* are logarithms or linear; "auto" tells it from the values.

    Raises:
        SceneError: Something is missing, damaged, does not fit together, is not finite, or is
            a program instead of numbers.
    """
    chosen = choose_files(files)
    path = chosen.folder + SCENE_FILE
    if path not in files:
        raise SceneError(
            f"{name}: found no {SCENE_FILE}, expected a model folder with "
            f"point_cloud/iteration_N/{SCENE_FILE}, or the folder iteration_N"
        )
    vertices = read_vertices(files[path], f"{name}: {path}")
    found = read_networks(files, chosen.folder, name)
    _require_embedding(found.networks, vertices.features.shape[1], f"{name}: {chosen.folder}")
    parameters = interpret(vertices, scaling, f"{name}: {path}")
    description, description_notes = _description(files.get(DESCRIPTION_FILE, b""), name)
    coded = parameters.vertices
    try:
        scene = AnchorScene(
            anchors=coded.anchors,
            features=coded.features,
            log_scalings=parameters.log_scalings,
            offsets=coded.offsets,
            masks=parameters.masks,
            networks=found.networks,
            storage=found.storage,
            description=description,
            iteration=chosen.iteration,
            extras=coded.extras,
        )
    except SceneError as error:
        raise SceneError(f"{name}: {error}") from error
    notes = (
        *_notes_on_choice(chosen),
        *vertices.notes,
        *parameters.notes,
        *found.notes,
        *description_notes,
    )
    return CheckpointResult(scene, notes)


def _require_embedding(networks: RenderingNetworks, features: int, where: str) -> None:
    """Refuses colours that depend on an embedding of the cameras that is not there."""
    least = features + 3
    others_fit = {networks.opacity.inputs, networks.covariance.inputs} <= {least, least + 1}
    more = networks.color.inputs - networks.opacity.inputs
    if networks.appearance is None and others_fit and more > 1:
        raise SceneError(
            f"{where}{APPEARANCE_FILE} is missing: network color takes {more} values more than "
            "the others, the embedding of a camera; copy that file from the trained model"
        )


def _description(data: bytes, name: str) -> tuple[str, tuple[str, ...]]:
    text = data.decode("utf-8", "replace")
    notes: tuple[str, ...] = ()
    size = len(text.encode("utf-8"))
    if max(size, len(data)) > MAX_DESCRIPTION:
        raise SceneError(
            f"{name}: {DESCRIPTION_FILE}: {size} bytes, expected at most {MAX_DESCRIPTION}"
        )
    if text.encode("utf-8") != data:
        told = f"{DESCRIPTION_FILE} is not UTF-8; its unreadable bytes were replaced"
        notes = (Note(told, "cfg-args-repaired"),)
    return text, notes


def _notes_on_choice(chosen: ChosenFiles) -> tuple[str, ...]:
    if not chosen.folder:
        return ()
    others = ", ".join(map(str, chosen.others))
    ignored = f", the highest; ignored iteration {others}" if others else ""
    told = f"read iteration {chosen.iteration}{ignored}"
    return (Note(told, "iteration-read", changed=False, iteration=chosen.iteration),)
