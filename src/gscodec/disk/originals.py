"""Whether an output would take the place of what a file was made from: there is no other copy."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from gscodec.disk.checkpoints import read_folder
from gscodec.disk.files import STDIO
from gscodec.errors import InputError, OutputError
from gscodec.report.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping


def may_overwrite(
    target: str, meta: Mapping[str, object], *, overwrite: bool, replace_source: bool
) -> bool:
    """Whether what is at ``target`` may be replaced, as the user asked for.

    Args:
        target: Output of a decoding.
        meta: Of the file that is decoded.
        overwrite: The user's word for anything but the source.
        replace_source: The user's word for the source.

    Raises:
        OutputError: It is the source, and ``replace_source`` is not set.
    """
    if target == STDIO or not _is_source(Path(target), meta):
        return overwrite
    if replace_source:
        return True
    raise OutputError(
        f"{printable(target)}: is the original that this file was made from (the same SHA-256); "
        "name another output with -o, or give the original up with --replace-source"
    )


def _is_source(target: Path, meta: Mapping[str, object]) -> bool:
    recorded = meta.get("source")
    wanted = recorded.get("sha256") if isinstance(recorded, dict) else None
    try:
        return wanted is not None and target.exists() and _sha256(target) == wanted
    except (OSError, InputError):  # not to be read, so nobody knows
        return False


def _sha256(target: Path) -> str:
    """As `scenes` remembers a source."""
    if target.is_dir():
        return hashlib.sha256(b"".join(read_folder(str(target)).values())).hexdigest()
    if not target.is_file():  # a device or a pipe
        return ""
    with target.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
