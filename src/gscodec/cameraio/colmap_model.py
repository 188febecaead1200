"""What the binary and the text form of a COLMAP sparse model share.

Source: COLMAP, src/colmap/sensor/models.h and "Output Format" of its documentation. Axes and
pixels are those of `gscodec.camera.Camera`. An image is one photograph with its pose, a camera
one lens that many images may share.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gscodec.cameraio.names import check_distinct
from gscodec.cameraio.poses import make_camera, rotation_of, world_to_camera
from gscodec.cameraio.values import check_count, shown
from gscodec.errors import SceneError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from gscodec.camera import Camera

# Numbers of the models in cameras.bin.
MODEL_NAMES = {
    0: "SIMPLE_PINHOLE",
    1: "PINHOLE",
    2: "SIMPLE_RADIAL",
    3: "RADIAL",
    4: "OPENCV",
    5: "OPENCV_FISHEYE",
    6: "FULL_OPENCV",
    7: "FOV",
    8: "SIMPLE_RADIAL_FISHEYE",
    9: "RADIAL_FISHEYE",
    10: "THIN_PRISM_FISHEYE",
    11: "RAD_TAN_THIN_PRISM_FISHEYE",
}
PARAMETERS = {
    "SIMPLE_PINHOLE": ("f", "cx", "cy"),
    "PINHOLE": ("fx", "fy", "cx", "cy"),
    "SIMPLE_RADIAL": ("f", "cx", "cy", "k1"),
    "RADIAL": ("f", "cx", "cy", "k1", "k2"),
    "OPENCV": ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2"),
}


@dataclass(frozen=True)
class Lens:
    """A COLMAP camera, for example of model ``OPENCV``.

    Attributes:
        identity: ``CAMERA_ID``.
        model: Name, a key of `PARAMETERS`.
        width: Pixels.
        height: Pixels.
        parameters: In the order of `PARAMETERS`.
    """

    identity: int
    model: str
    width: int
    height: int
    parameters: Sequence[float]


@dataclass(frozen=True)
class Image:
    """A COLMAP image.

    Attributes:
        place: Where it stands, for errors.
        quaternion: (4,) world to camera, w, x, y, z.
        translation: (3,) world to camera.
        lens: ``CAMERA_ID``.
        name: File name of the photograph, relative to the folder of images.
    """

    place: str
    quaternion: NDArray[np.float64]
    translation: NDArray[np.float64]
    lens: int
    name: str


def check_model(model: str, place: str) -> None:
    """Refuses lenses that are no pinhole with OpenCV's k1, k2, p1, p2.

    Raises:
        UnsupportedError: ``model`` is another one.
    """
    if model not in PARAMETERS:
        raise UnsupportedError(
            f"{place}: camera model {shown(model)} is not supported, expected one of "
            f"{', '.join(PARAMETERS)}; 'colmap image_undistorter' makes PINHOLE of others"
        )


def assemble(lenses: Iterable[Lens], images: Sequence[Image], name: str) -> tuple[Camera, ...]:
    """The views of a model, sorted by the names of their photographs.

    Raises:
        SceneError: A camera or an image is there twice, is missing, or makes no view.
    """
    by_identity: dict[int, Lens] = {}
    for lens in lenses:
        if lens.identity in by_identity:
            raise SceneError(f"{name}: camera {lens.identity} found twice")
        by_identity[lens.identity] = lens
    if not images:
        raise SceneError(
            f"{name}: found {len(by_identity)} lenses but no image with a pose, so no cameras; "
            "COLMAP has registered none"
        )
    check_count(len(images), name)
    for image in images:
        if image.lens not in by_identity:
            raise SceneError(f"{image.place}: there is no camera {image.lens}")
    check_distinct((image.place, image.name) for image in images)
    in_order = sorted(images, key=lambda image: image.name)
    return tuple(_view(by_identity[image.lens], image) for image in in_order)


def _view(lens: Lens, image: Image) -> Camera:
    values = dict(zip(PARAMETERS[lens.model], lens.parameters, strict=True))
    turn = rotation_of(image.quaternion, image.place)
    fx, fy = (values["f"],) * 2 if "f" in values else (values["fx"], values["fy"])
    return make_camera(
        f"{image.place}, camera {lens.identity}",
        (lens.width, lens.height),
        (fx, fy),
        (values["cx"], values["cy"]),
        world_to_camera(turn, image.translation),
        (
            values.get("k1", 0.0),
            values.get("k2", 0.0),
            values.get("p1", 0.0),
            values.get("p2", 0.0),
        ),
        image.name,
    )
