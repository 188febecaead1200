"""A camera file or the folder of a data set -> cameras and the photographs that belong to them.

Strategy: find the one file or model that has the cameras, find a file for every photograph
that it names, then give each camera the size of its photograph.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gscodec.disk.data_sets import find_photographs, locate, read_data_set
from gscodec.disk.files import STDIO, reason
from gscodec.disk.photographs import photograph_size, read_photograph
from gscodec.errors import InputError, SceneError, UsageError
from gscodec.report.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gscodec.anchors import AnchorScene
    from gscodec.camera import Camera
    from gscodec.disk.photographs import Photographs
    from gscodec.scene import GaussianScene

__all__ = ["ChosenViews", "Views", "choose_views", "read_photograph", "read_views"]

_VIRTUAL_VIEWS = 24


@dataclass(frozen=True)
class Views:
    """Cameras and their photographs.

    Attributes:
        root: The folder of the data set.
        source: The camera file, or the folder of the COLMAP model.
        cameras: In the order of the file, COLMAP's by name; each has the size of its
            photograph.
        photographs: `Camera.image` -> the file, for those that were found.
        notes: One line for each thing that was changed, left out or not found.
    """

    root: Path
    source: Path
    cameras: tuple[Camera, ...]
    photographs: Mapping[str, Path]
    notes: tuple[str, ...]

    @property
    def has_photographs(self) -> bool:
        """Whether every camera has one."""
        return not self._without

    def require_photographs(self) -> None:
        """Refuses views of which one has no photograph.

        Raises:
            InputError: With how many there are and the first of them.
        """
        if self._without:
            raise InputError(f"{printable(str(self.source))}: {self.missing}")

    @property
    def missing(self) -> str:
        """How many cameras have no photograph, and the first of them."""
        first = next(iter(self._without), "")
        return (
            f"no photograph for {len(self._without)} of {len(self.cameras)} cameras (first: "
            f"{printable(first) or 'one without a name'}); name their folder with --images"
        )

    @property
    def _without(self) -> list[str]:
        return [c.image for c in self.cameras if c.image not in self.photographs]


def read_views(path: str, images: str | None = None, *, allow_outside: bool = False) -> Views:
    """Reads a data set.

    Args:
        path: A plain list of cameras, INRIA's cameras.json or a transforms.json (any name that
            ends in .json); or a folder that has one of them under its usual name, or a COLMAP
            model in sparse/0.
        images: Folder of the photographs, or its name in the folder of the cameras, in place
            of where the camera file says that they are.
        allow_outside: Whether photographs may lie outside of the data set, or of ``images``.

    Raises:
        UsageError: ``path`` is stdin.
        InputError: There is no such file, no cameras in the folder, none of the photographs in
            ``images``, or one lies outside.
        SceneError: The cameras or a photograph are damaged, or do not fit each other.
        UnsupportedError: A lens is no pinhole with OpenCV's k1, k2, p1, p2.
    """
    if path == STDIO:
        raise UsageError("views cannot come from stdin; name a camera file or a folder")
    try:
        data = locate(Path(path))
        photographs = find_photographs(data, images, outside=allow_outside)
    except OSError as error:  # a folder that is not ours to look into
        raise InputError(f"{printable(path)}: cannot be read: {reason(error)}") from error
    cameras, notes = read_data_set(data, photographs)
    found = _found(cameras, photographs)
    if images is not None and not found:
        raise InputError(
            f"{printable(images)}: none of the {len(cameras)} photographs is there (first: "
            f"{printable(cameras[0].image) or 'one without a name'})"
        )
    cameras, resized = _resized(cameras, found)
    views = Views(data.root, data.source, cameras, found, (*data.notes(), *notes, *resized))
    missed = not views.has_photographs and any(camera.image for camera in cameras)
    return replace(views, notes=(*views.notes, views.missing)) if missed else views


@dataclass(frozen=True)
class ChosenViews:
    """What is rendered to measure a scene.

    Attributes:
        cameras: In the order of their file.
        count: Cameras there were to choose from.
        origin: Their file or folder, None for virtual ones.
        detail: How virtual ones were placed.
        photographs: `Camera.image` -> the file, for those that were found.
        notes: One line for each thing that was changed, left out or not found.
    """

    cameras: Sequence[Camera]
    count: int
    origin: Path | None = None
    detail: str = ""
    photographs: Mapping[str, Path] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def told(self, *, folders: bool) -> str:
        """Where they come from; ``folders``: as a whole path."""
        if self.origin is None:
            return f"{self.count} virtual cameras, {self.detail}"
        name = str(self.origin) if folders else self.origin.name
        return f"{len(self.cameras)} of the {self.count} cameras of {name}"


def choose_views(
    scenes: Sequence[GaussianScene | AnchorScene],
    path: str | None,
    images: str | None,
    most: int | None,
    *,
    fit: Callable[[Views], Views],
    allow_outside: bool = False,
) -> ChosenViews:
    """At most ``most`` cameras of a data set, or as many virtual ones.

    Args:
        scenes: Virtual cameras look at the first in which there is something to see. All have
            the same origin, and the cameras too.
        path: As for `read_views`, None for virtual cameras.
        images: As for `read_views`; if given, only cameras with photographs are chosen.
        most: None for all, or 24 virtual ones.
        fit: Brings the views of a data set into the space of the scenes, or refuses them.
        allow_outside: As for `read_views`.

    Raises:
        The errors of `read_views` and of ``fit``.
    """
    if path is None:
        return _virtual_views(scenes, most or _VIRTUAL_VIEWS)
    from gscodec.camera import spread

    found = fit(read_views(path, images, allow_outside=allow_outside))
    cameras: Sequence[Camera] = found.cameras
    if images is not None:
        cameras = [c for c in cameras if c.image in found.photographs]
    return ChosenViews(
        cameras=[
            camera.relative_to(scenes[0].origin)
            for camera in spread(cameras, most or len(cameras))
        ],
        count=len(found.cameras),
        origin=found.source,
        photographs=found.photographs,
        notes=found.notes,
    )


def _virtual_views(scenes: Sequence[GaussianScene | AnchorScene], count: int) -> ChosenViews:
    from gscodec.render.virtual import virtual_cameras

    for scene in scenes:
        found = virtual_cameras(scene, count)
        if found.cameras:
            break
    return ChosenViews(found.cameras, len(found.cameras), detail=found.note)


def _found(cameras: tuple[Camera, ...], photographs: Photographs) -> dict[str, Path]:
    """Name -> file, for those that are there; no file has two names."""
    found: dict[str, Path] = {}
    owners: dict[Path, str] = {}
    for name in dict.fromkeys(camera.image for camera in cameras):
        path = photographs.find(name)
        if path is None:
            continue
        if path in owners:
            raise SceneError(
                f"{printable(str(path))}: is the photograph of {printable(owners[path])} and of "
                f"{printable(name)}; expected one file each"
            )
        found[name], owners[path] = path, name
    return found


def _resized(
    cameras: tuple[Camera, ...], found: Mapping[str, Path]
) -> tuple[tuple[Camera, ...], tuple[str, ...]]:
    """Cameras with the sizes of their photographs, and a note if that changed any."""
    from gscodec.cameraio import rescaled

    sizes = {name: photograph_size(path) for name, path in found.items()}
    result = []
    for camera in cameras:
        size = sizes.get(camera.image, (camera.width, camera.height))
        same = size == (camera.width, camera.height)
        result.append(camera if same else rescaled(camera, *size, str(found[camera.image])))
    changed = [
        f"{printable(old.image)}, {old.width} x {old.height} to {new.width} x {new.height}"
        for old, new in zip(cameras, result, strict=True)
        if new is not old
    ]
    if not changed:
        return cameras, ()
    note = f"cameras rescaled to their photographs: {len(changed)} (first: {changed[0]})"
    return tuple(result), (note,)
