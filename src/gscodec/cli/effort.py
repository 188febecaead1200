"""What `encode` needs for effort high: sizes and times as people write them, views, state."""

from __future__ import annotations

import math
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gscodec.disk.files import STDIO, check_output, read_input, write_output
from gscodec.disk.signals import advise, removed
from gscodec.errors import UsageError
from gscodec.report.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from gscodec.camera import TargetViews
    from gscodec.disk.views import Views
    from gscodec.tiling import Workers

_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_BYTES = {"": 1, "b": 1, "k": 10**3, "kb": 10**3, "m": 10**6, "mb": 10**6, "g": 10**9}
_BYTES |= {"gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
_STATE_SUFFIX = ".state"
_MOST = 1e15  # bytes or seconds; more is a slip
_MOST_WORKERS = 999
_SHOWN = 40  # characters of what was found


def parse_seconds(text: str) -> float:
    """``90``, ``90s``, ``10m`` or ``1h`` in seconds."""
    seconds = _number(text, _SECONDS, "--time-limit", wish := "a time such as 90s, 10m or 1h")
    if not seconds:
        raise UsageError(f"--time-limit: found {text!r}, expected {wish}")
    return seconds


def parse_bytes(text: str, flag: str = "--target-size") -> int:
    """``800kB``, ``8MB``, ``1.5MiB`` or plain bytes in bytes."""
    return round(_number(text, _BYTES, flag, "a size such as 800kB or 8MB"))


def memory_limit(text: str | None) -> int | None:
    """What ``--max-memory`` says, in bytes."""
    return None if text is None else parse_bytes(text, "--max-memory")


def _number(text: str, units: dict[str, float] | dict[str, int], flag: str, wish: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+) ?([a-z]*)", text.strip().lower())
    value = float(found[1]) * units.get(found[2], math.inf) if found else math.inf
    if value > _MOST:
        raise UsageError(f"{flag}: found {text[:_SHOWN]!r}, expected {wish}")
    return value


def check_method_looks(method: str) -> None:
    """Refuses views for a method that does not look at the scene.

    Raises:
        UsageError: ``method`` has no views.
    """
    from gscodec import methods

    if "views" not in methods.by_name(method).Given.__dataclass_fields__:
        raise UsageError(f"--views: method {method} has no such option")


def target_views(views: Views) -> TargetViews:
    """The cameras, and their photographs where all of them have one."""
    import numpy as np

    from gscodec.camera import TargetViews
    from gscodec.disk.views import read_photograph

    if not views.has_photographs:
        return TargetViews(tuple(views.cameras))
    pictures = (
        read_photograph(views.photographs[camera.image], camera) for camera in views.cameras
    )
    return TargetViews(tuple(views.cameras), tuple(p.astype(np.float16) for p in pictures))


def workers_of(text: str | None) -> Workers:
    """Who codes tiles, by what ``--workers`` says.

    Raises:
        UsageError: It makes no sense, or Ray is not installed.
    """
    from gscodec.cluster import LOCAL, Cluster
    from gscodec.tiling import Here
    from gscodec.workers import Pool

    if text is None:
        return Here()
    if text == LOCAL or text.startswith("ray://"):
        return Cluster(text)
    count = _count("--workers", text, f"1 to {_MOST_WORKERS}, ray, or ray://HOST:PORT")
    return Pool(count) if count > 1 else Here()


def tiles_of(text: str | None) -> int | None:
    """How many tiles ``--tiles`` asks for; None: as many as are usual."""
    return (
        None if text in {None, "auto"} else _count("--tiles", text or "", "auto, or 1 to 999")
    )


def _count(flag: str, text: str, wish: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 3 and int(text) >= 1:
        return int(text)
    raise UsageError(f"{flag}: found {text[:_SHOWN]!r}, expected {wish}")


class StateFile:
    """The state of an optimisation, beside the output while it lasts."""

    def __init__(self, target: str, *, resume: bool) -> None:
        """Refuses what would be found out after hours.

        Raises:
            UsageError: To resume, an output file is needed.
            OutputError: The state could not be written.
        """
        self._path = None if target == STDIO else target + _STATE_SUFFIX
        self._resume = resume
        if self._path is not None:
            check_output(STDIO, self._path, overwrite=True)
        elif resume:
            raise UsageError("--resume: needs an output file, not stdout")

    @property
    def there(self) -> bool:
        """Whether an interrupted run has left one."""
        return self._path is not None and Path(self._path).exists()

    def options(self, say: Callable[[str], object] | None = None) -> dict[str, object]:
        """What the method is given; tells, with ``say``, of a state that is given up."""
        if self._path is None:
            return {}
        options: dict[str, object] = {"checkpoint": self._save}
        if self._resume:
            options["resume"] = read_input(self._path)
        elif say is not None and self.there:
            say(f"{printable(self._path)}: is replaced; --resume would go on with it")
        return options

    def remove(self) -> None:
        """Once the output is written; a state that stays does no harm."""
        if self._path is not None:
            with suppress(OSError):
                Path(self._path).unlink(missing_ok=True)
                removed(printable(self._path))

    def _save(self, data: bytes) -> None:
        if self._path is not None:
            write_output(self._path, data, overwrite=True)
            removed(printable(self._path))  # from what is complete: it is no output
            advise("go on with the same command and --resume")
