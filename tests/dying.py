"""A worker that dies: processes of `test_tiles` find this module by its name."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from gscodec.learned.tiles import coded_apart

if TYPE_CHECKING:
    from gscodec.learned.tiles import Apart, Tile

MARK = "GSCODEC_TEST_MARK"  # names a file that is there once a worker has died
ALWAYS = "always"


def coded_or_dead(tile: Tile) -> Apart:
    """Codes ``tile``; the first worker is killed in the middle, or with `ALWAYS` each."""
    mark = os.environ[MARK]
    if mark == ALWAYS or not Path(mark).exists():
        if mark != ALWAYS:
            Path(mark).touch()
        coded_apart(tile)
        os.kill(os.getpid(), signal.SIGKILL)
    return coded_apart(tile)


def can_be_ended(_: object) -> bool:
    """Whether SIGTERM ends this worker."""
    return signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
