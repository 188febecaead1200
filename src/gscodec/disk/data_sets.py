"""Where a data set has its cameras and its photographs, and its cameras as they are written.

Strategy: one file or one COLMAP model has the cameras, the first one found counts, and INRIA's
code looks for them in the same order; others are told.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gscodec.disk.files import read_input
from gscodec.disk.photographs import Photographs, photograph_size
from gscodec.errors import InputError
from gscodec.notes import Note
from gscodec.report.text import printable

if TYPE_CHECKING:
    from gscodec.camera import Camera

_MODELS = ("sparse/0", "sparse", ".")
_FILES = ("transforms.json", "transforms_train.json", "cameras.json")
_MODEL_PAIRS = {
    ".bin": ("cameras.bin", "images.bin"),
    ".txt": ("cameras.txt", "images.txt"),
}
# Undistorted photographs first; input/ has those that INRIA's convert.py undistorts.
_IMAGES = ("images", "images_2", "images_4", "images_8", "input")


@dataclass(frozen=True)
class DataSet:
    """What of a data set is read.

    Attributes:
        root: Its folder.
        source: The camera file, or the folder of the COLMAP model.
        others: Camera files and models that are there too and are not read.
    """

    root: Path
    source: Path
    others: tuple[Path, ...] = ()

    def notes(self) -> tuple[str, ...]:
        """One line where there are others."""
        if not self.others:
            return ()
        names = ", ".join(printable(str(path)) for path in self.others)
        told = f"read the cameras of {printable(str(self.source))}; not read: {names}"
        return (Note(told, "cameras-chosen", changed=False, others=len(self.others)),)


def locate(path: Path) -> DataSet:
    """The camera file ``path``, or what the folder ``path`` has.

    Raises:
        InputError: There are no cameras in the folder; with the half that is there of a model.
    """
    if not path.is_dir():  # a file, or a pipe, or nothing, which reading tells
        return DataSet(path.parent, path)
    models = [path / name for name in _MODELS if _model_files(path / name)]
    sources = [*models[:1], *(path / name for name in _FILES if (path / name).is_file())]
    if not sources:
        half = _half_model(path)
        raise InputError(
            f"{printable(str(path))}: found {half or 'no cameras'}, expected a COLMAP model in "
            f"sparse/0 or one of {', '.join(_FILES)}"
        )
    return DataSet(path, sources[0], tuple(sources[1:]))


def _model_files(folder: Path) -> tuple[str, str] | None:
    """The names of the two files of a COLMAP model, binary before text."""
    pairs = (p for p in _MODEL_PAIRS.values() if all((folder / f).is_file() for f in p))
    return next(pairs, None)


def _half_model(root: Path) -> str:
    """What is there and what is missing of a COLMAP model, empty if there is none at all."""
    for model in _MODELS:
        for pair in _MODEL_PAIRS.values():
            for there, missing in (pair, pair[::-1]):
                if (root / model / there).is_file():
                    what = "the lenses" if missing == pair[0] else "the poses"
                    return f"{(Path(model) / there).as_posix()} without {missing}, {what}"
    return ""


def find_photographs(data: DataSet, images: str | None, *, outside: bool) -> Photographs:
    """Where the photographs of a data set may lie.

    Args:
        data: The data set.
        images: Folder of the photographs, or its name in the data set; None for the usual ones.
        outside: Whether they may also lie elsewhere, if names or links lead there.

    Raises:
        InputError: There is no such folder.
    """
    if images is not None:
        folder = next((f for f in (Path(images), data.root / images) if f.is_dir()), None)
        if folder is None:
            raise InputError(f"{printable(images)}: no such folder of photographs")
        return Photographs((folder,), None if outside else folder, by_end=True)
    root = None if outside else data.root
    if data.source.is_dir():
        named = [data.root / name for name in _IMAGES if (data.root / name).is_dir()]
        return Photographs(tuple(named[:1]), root)
    return Photographs((data.root, data.root / "images", data.root / "input"), root)


def read_data_set(
    data: DataSet, photographs: Photographs
) -> tuple[tuple[Camera, ...], tuple[str, ...]]:
    """The cameras as they are written, and notes on what was changed in them.

    Raises:
        InputError: A file may not be read, or a photograph that tells a size is missing.
        SceneError: The cameras are damaged.
        UnsupportedError: A lens is no pinhole with OpenCV's k1, k2, p1, p2.
    """
    if data.source.is_dir():
        return _read_model(data.source), ()
    from gscodec.cameraio import Straightened, read_cameras

    path = str(data.source)

    def size_of(image: str) -> tuple[int, int]:
        found = photographs.find(image)
        if found is None:
            raise InputError(
                f"{printable(path)}: no photograph {printable(image)} to take the size of "
                "the images from; name their folder with --images"
            )
        return photograph_size(found)

    straightened = Straightened()
    cameras = read_cameras(
        read_input(path, _may_be_text), name=path, size_of=size_of, straightened=straightened
    )
    return cameras, straightened.notes()


def _may_be_text(head: bytes) -> bool:
    return bytes(4) not in head  # two zeros may be next to each other in UTF-16


def _read_model(folder: Path) -> tuple[Camera, ...]:
    from gscodec.cameraio import read_colmap_binary, read_colmap_text

    pair = _model_files(folder) or _MODEL_PAIRS[".bin"]
    read = read_colmap_binary if pair == _MODEL_PAIRS[".bin"] else read_colmap_text
    cameras, images = (read_input(str(folder / name)) for name in pair)
    return read(cameras, images, name=str(folder))
