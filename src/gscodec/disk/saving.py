"""A scene -> the bytes of the file, or the files of the folder, that its name asks for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gscodec.errors import UsageError
from gscodec.notes import Note
from gscodec.report.text import printable

if TYPE_CHECKING:
    from gscodec.anchors import AnchorScene
    from gscodec.scene import GaussianScene


def foreign_suffixes() -> set[str]:
    """Those of files of Gaussians besides .ply."""
    from gscodec.interchange import FORMATS

    return {known.suffix for known in FORMATS}


def check_suffix(target: str) -> None:
    """Refuses a file of Gaussians whose suffix names a format that cannot be written.

    Raises:
        UsageError: With those that can, or with the package that is missing.
    """
    from gscodec.interchange import format_of, missing_package

    foreign = format_of(target)
    if foreign is None and Path(target).suffix.lower() not in {"", ".ply"}:
        raise UsageError(
            f"{printable(target)}: found the suffix {printable(Path(target).suffix)}, expected "
            f".ply, {', '.join(sorted(foreign_suffixes()))}"
        )
    if foreign is not None and (missing := missing_package(foreign)):
        raise UsageError(f"{printable(target)}: {missing}")


def gaussian_file(scene: GaussianScene, target: str) -> tuple[bytes, tuple[str, ...]]:
    """In the format of the suffix, and a note for each thing that was changed or left out."""
    from gscodec.interchange import format_of, write_foreign
    from gscodec.sceneio import renamed_extras, write_ply

    if foreign := format_of(target):
        return write_foreign(scene, foreign)
    return write_ply(scene), renamed_extras(scene)


def notes_on_checkpoint(scene: AnchorScene) -> tuple[str, ...]:
    """Notes on what is written under another name, and where cfg_args is not written."""
    from gscodec.checkpointio import is_plain, renamed_extras

    notes = renamed_extras(scene)
    if not scene.description or is_plain(scene.description):
        return notes
    told = "left out cfg_args: programs run it, and it is no plain list of settings"
    return (*notes, Note(told, "cfg-args-left-out"))
