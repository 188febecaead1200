"""One run as the user sees it: stages on stderr while it lasts, seconds and memory after."""

from __future__ import annotations

import os
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

from gscodec.cli.estimate import Estimate
from gscodec.errors import GscodecWarning
from gscodec.report.text import printable

if TYPE_CHECKING:
    from types import TracebackType

    from gscodec.cli.estimate import Reckoning

_THREAD_VARIABLES = tuple(f"{pool}_NUM_THREADS" for pool in ("OMP", "OPENBLAS", "MKL"))


class View(Protocol):
    """Shows stages; `Session` decides when."""

    def show(self, stage: str, share: float, detail: str) -> None:
        """Stage ``stage`` is done to ``share``, 0 to 1; ``detail`` says how it goes."""

    def say(self, line: str) -> None:
        """Prints ``line``, which stays."""

    def close(self) -> None:
        """Leaves the terminal as it was."""


class Nothing:
    """The view of ``--quiet``."""

    def show(self, stage: str, share: float, detail: str) -> None:
        """Shows nothing."""

    def say(self, line: str) -> None:
        """Says nothing."""

    def close(self) -> None:
        """Does nothing."""


class Lines:
    """One line per stage, without escape codes: for logs and pipes."""

    def __init__(self, *, stages: bool) -> None:
        """``stages`` are not shown where there are too many of them."""
        self._stages = stages
        self._seen: dict[str, int] = {}

    def show(self, stage: str, share: float, detail: str) -> None:
        """Prints a stage when it is new, and every tenth of one that has details to tell."""
        tenth = int(10 * share) if detail else 0
        if self._stages and tenth > self._seen.get(stage, -1):
            self._seen[stage] = tenth
            tail = f" {10 * tenth} %: {printable(detail)}" if detail else ""
            sys.stderr.write(f"gscodec: {printable(stage)}{tail}\n")

    def say(self, line: str) -> None:
        """Prints ``line``."""
        sys.stderr.write(f"{line}\n")

    def close(self) -> None:
        """Does nothing."""


def view_of(reckoning: Reckoning, *, quiet: bool, stages: bool = True) -> View:
    """What suits stderr: a bar, lines (of ``stages`` too), or nothing if ``quiet``."""
    if quiet:
        warnings.simplefilter("ignore", GscodecWarning)
        return Nothing()
    if not sys.stderr.isatty():
        return Lines(stages=stages)
    from gscodec.cli.bar import bar_of

    return bar_of(reckoning) or Lines(stages=stages)


class Session:
    """Shows and times the stages of one command; pass `progress` to the codec."""

    def __init__(
        self,
        view: View | None = None,
        *,
        quiet: bool = False,
        stages: bool = True,
        estimate: Estimate | None = None,
    ) -> None:
        """On ``view``, of what ``estimate`` hears; default: what suits stderr, as `view_of`."""
        self.stages: dict[str, float] = {}
        self.estimate = estimate or Estimate()
        self._start = self._since = time.perf_counter()
        self._stage = ""
        self._view = view or view_of(self.estimate, quiet=quiet, stages=stages)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._count()
        self._view.close()

    def progress(self, stage: str, share: float = 0.0, detail: str = "", /) -> None:
        """Called by whoever works: ``stage`` is done to ``share``, 0 to 1."""
        self._count()
        self._stage = stage
        self.estimate.hear(stage, share, detail)
        self._view.show(stage, share, detail)

    def say(self, line: str) -> None:
        """Tells what somebody should know before the work ends, which may take hours."""
        self._view.say(f"gscodec: {line}")

    @property
    def seconds(self) -> float:
        """Wall clock since the start."""
        return time.perf_counter() - self._start

    def counted(self) -> dict[str, float]:
        """Seconds by stage, until now."""
        self._count()
        return dict(self.stages)

    def _count(self) -> None:
        now = time.perf_counter()
        if self._stage:
            self.stages[self._stage] = self.stages.get(self._stage, 0.0) + now - self._since
        self._since = now


def limit_threads(threads: int | None) -> None:
    """Must be called before numpy is imported, which starts its threads then."""
    if threads is None:
        return
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, str(threads)))
    numba = sys.modules.get("numba")
    if numba is None:
        os.environ["NUMBA_NUM_THREADS"] = str(threads)
    else:  # it reads the variable whenever it compiles, and no other number will do by then
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))


def peak_memory_bytes() -> int | None:
    """Largest resident size of this process so far; None where the system does not tell."""
    # Linux first: getrusage() there may report the size of the program that started this one.
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return 1024 * int(status.split("VmHWM:")[1].split()[0])
    except (OSError, IndexError, ValueError):
        return _peak_by_getrusage()


def _peak_by_getrusage() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
