"""Views of a data set and a scene -> the views in the space of the scene, or a refusal.

One place for every command that looks through given cameras.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gscodec.disk.files import STDIO, read_input
from gscodec.disk.views import read_photograph
from gscodec.errors import SceneError
from gscodec.notes import Note
from gscodec.report.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from gscodec.anchors import Scene
    from gscodec.camera import Camera
    from gscodec.disk.views import Views

_BLACK = (0.0, 0.0, 0.0)


def fitted(
    views: Views,
    scene: Scene,
    path: str,
    *,
    force: bool,
    background: tuple[float, float, float] = _BLACK,
) -> Views:
    """``views`` in the space of ``scene``.

    That is as they are written, or moved as nerfstudio moved them before the training, where
    it says so in a dataparser_transforms.json near the cameras or the scene and they fit then.

    Args:
        views: As `gscodec.disk.views.read_views` gives them.
        scene: What they should look at.
        path: Its file or folder.
        force: Go on with views that do not fit.
        background: Behind the scene and transparent photographs.

    Raises:
        SceneError: The views do not fit, with numbers; or a file on how to move them is
            damaged.
        InputError: A photograph may not be read.
    """
    moved = _moved(views, path)
    candidates = [views] if moved is None else [moved, views]
    problems = []
    for candidate in candidates:
        problem = _problem(candidate, scene, background)
        if not problem:
            return candidate
        problems.append(problem)
    told = f"the cameras do not fit the scene: {problems[0]}"
    if moved is not None:
        told = f"{told} ({moved.notes[-1]}; as they are written: {problems[1]})"
    if force:
        forced = Note(told, "views-do-not-fit", changed=False)
        return replace(candidates[0], notes=(*candidates[0].notes, forced))
    raise SceneError(
        f"{printable(str(views.source))}: {told}; they are of another scene, or in another space "
        "as trainers that centre and scale leave it (nerfstudio's dataparser_transforms.json "
        "beside them helps), or the photographs show more than the scene (a background); go on "
        "with --force-views"
    )


def _problem(views: Views, scene: Scene, background: tuple[float, float, float]) -> str:
    from gscodec.kinds.aside import without_outliers
    from gscodec.render.belonging import Pictures, disagreement

    cameras = [camera.relative_to(scene.origin) for camera in views.cameras]
    pictured = [camera for camera in cameras if camera.image in views.photographs]

    def photograph(camera: Camera) -> NDArray[np.float32]:
        return read_photograph(views.photographs[camera.image], camera, background)

    return disagreement(
        without_outliers(scene), cameras, Pictures(pictured, photograph, background)
    )


def _moved(views: Views, path: str) -> Views | None:
    """As nerfstudio moved them, with a note; None where it does not say."""
    from gscodec.cameraio import after_applied, read_dataparser

    file = _dataparser_file(views.root, path)
    if file is None:
        return None
    similarity = read_dataparser(read_input(str(file)), str(file))
    if views.source.is_file():
        similarity = after_applied(
            similarity,
            read_input(str(views.source)),
            str(views.source),
            from_colmap=(views.root / "colmap" / "sparse" / "0").is_dir(),
        )
    note = f"moved the cameras as {printable(str(file))} says"
    cameras = tuple(similarity.moved(camera) for camera in views.cameras)
    told = Note(note, "cameras-moved", changed=False)
    return replace(views, cameras=cameras, notes=(*views.notes, told))


def _dataparser_file(root: Path, path: str) -> Path | None:
    """In the folder of the cameras, of the scene, or one above."""
    from gscodec.cameraio import DATAPARSER_FILE

    folders: Sequence[Path] = [root.resolve()]
    if path != STDIO:
        scene = Path(path).resolve()
        folders = [*folders, scene if scene.is_dir() else scene.parent]
    for folder in [*folders, *(f.parent for f in folders)]:
        if (folder / DATAPARSER_FILE).is_file():
            return folder / DATAPARSER_FILE
    return None
