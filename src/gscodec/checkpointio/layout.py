"""The names that checkpoints give to files, networks and columns.

Source: city-super/Scaffold-GS, scene/gaussian_model.py, ``save_ply``, ``save_mlp_checkpoints``;
YihangChen-ee/HAC, the same file. Offsets are stored axis by axis: x of all K, then y, then z.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gscodec.anchors import SCALINGS

if TYPE_CHECKING:
    from collections.abc import Iterable

DESCRIPTION_FILE = "cfg_args"
SCENE_FILE = "point_cloud.ply"
UNITED_FILE, HAC_FILE = "checkpoints.pth", "checkpoint.pth"
APPEARANCE_FILE = "embedding_appearance.pt"
# In a dict of state dicts; the last name is what Scaffold-GS's method "unite" writes.
APPEARANCE_KEYS = ("embedding_appearance", "appearance")
APPEARANCE_WEIGHT = "embedding.weight"
WEIGHTS = ("0.weight", "0.bias", "2.weight", "2.bias")

# Name of a network (`RenderingNetworks.named`) -> the layer after its last Linear.
ACTIVATIONS = {"opacity": "Tanh", "cov": None, "color": "Sigmoid", "feature_bank": "Softmax"}
REQUIRED_NETWORKS = ("opacity", "cov", "color")

POSITION = ("x", "y", "z")
# Columns that no renderer reads, and what training leaves in them.
INITIAL_OPACITY = -2.1972246  # inverse sigmoid of 0.1
CUSTOMARY = {
    **dict.fromkeys(("nx", "ny", "nz"), 0.0),
    "opacity": INITIAL_OPACITY,
    "rot_0": 1.0,
    **dict.fromkeys(("rot_1", "rot_2", "rot_3"), 0.0),
}
OFFSET, MASK, FEATURE, SCALE = "f_offset", "f_mask", "f_anchor_feat", "scale"
NUMBERED = re.compile(rf"({OFFSET}|{MASK}|{FEATURE}|{SCALE})_([0-9]{{1,9}})", re.ASCII)

ITERATION_FILES = (
    SCENE_FILE,
    *(f"{network}_mlp.pt" for network in ACTIVATIONS),
    APPEARANCE_FILE,
    UNITED_FILE,
    HAC_FILE,
)
_FOLDER = r"point_cloud/iteration_(0|[1-9][0-9]{0,8})/"
_ITERATION = re.compile(_FOLDER + re.escape(SCENE_FILE))
_ANY_FILE = re.compile(
    f"{DESCRIPTION_FILE}|({_FOLDER})?({'|'.join(map(re.escape, ITERATION_FILES))})"
)


@dataclass(frozen=True)
class ChosenFiles:
    """Where in a mapping the files of one iteration are.

    Attributes:
        folder: What stands before their names: "" or "point_cloud/iteration_N/".
        iteration: N, 0 if there is no such folder.
        others: The iterations that are not chosen, in order.
    """

    folder: str
    iteration: int
    others: tuple[int, ...]

    def names(self) -> tuple[str, ...]:
        """All files that a checkpoint of this iteration may have, the description first."""
        return (DESCRIPTION_FILE, *(self.folder + n for n in ITERATION_FILES))


def choose_files(names: Iterable[str]) -> ChosenFiles:
    """The highest iteration of a model folder, or the iteration folder itself."""
    names = set(names)
    if SCENE_FILE in names:
        return ChosenFiles("", 0, ())
    found = sorted({int(m[1]) for name in names if (m := _ITERATION.fullmatch(name))})
    if not found:
        return ChosenFiles("", 0, ())
    *others, highest = found
    return ChosenFiles(iteration_folder(highest), highest, tuple(others))


def is_checkpoint_file(name: str) -> bool:
    """Whether ``name``, relative to a model or iteration folder, may be a file of it."""
    return _ANY_FILE.fullmatch(name) is not None


def iteration_folder(iteration: int) -> str:
    """The folder of ``iteration`` in a model folder, with the last slash."""
    return f"point_cloud/iteration_{iteration}/"


def network_file(network: str) -> str:
    """The file of ``network``, where each has its own."""
    return f"{network}_mlp.pt"


def network_key(network: str) -> str:
    """The key of ``network`` in a dict of state dicts."""
    return f"{network}_mlp"


def numbered(prefix: str, count: int) -> tuple[str, ...]:
    """``prefix_0`` to ``prefix_{count - 1}``."""
    return tuple(f"{prefix}_{i}" for i in range(count))


def columns_of(features: int, offsets: int, *, masked: bool) -> dict[str, tuple[str, ...]]:
    """Property names by field of a scene, each in the order of the field's flattened row."""
    return {
        "anchors": POSITION,
        "offsets": tuple(
            f"{OFFSET}_{axis * offsets + k}" for k in range(offsets) for axis in range(3)
        ),
        **({"masks": numbered(MASK, offsets)} if masked else {}),
        "features": numbered(FEATURE, features),
        "log_scalings": numbered(SCALE, SCALINGS),
    }


def written_order(features: int, offsets: int, *, masked: bool) -> tuple[str, ...]:
    """Property names in the order of a written file, extras not counted."""
    return (
        *POSITION,
        *("nx", "ny", "nz"),
        *numbered(OFFSET, 3 * offsets),
        *(numbered(MASK, offsets) if masked else ()),
        *numbered(FEATURE, features),
        "opacity",
        *numbered(SCALE, SCALINGS),
        *("rot_0", "rot_1", "rot_2", "rot_3"),
    )
