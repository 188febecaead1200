"""How much memory there is, and where arrays go that are too large for it."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gscodec.disk.files import STDIO, memory_bytes
from gscodec.room import MEMORY, Room

if TYPE_CHECKING:
    from gscodec.footprint import Footprint

_SHARE = 0.8  # of the machine, for one run unless it is told otherwise


def cpus() -> int:
    """How many processors this process may use."""
    with suppress(AttributeError):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def room_for(footprint: Footprint, target: str, most: int | None) -> Room:
    """In memory, or in scratch files beside ``target`` if that takes more than ``most`` bytes.

    Raises:
        OutOfMemoryError: Not even so.
    """
    most = int(_SHARE * memory_bytes()) if most is None else most
    if footprint.within(most):
        return MEMORY
    if target == STDIO:
        return Room(Path(tempfile.gettempdir()))
    return Room(Path(os.path.realpath(target)).parent)
