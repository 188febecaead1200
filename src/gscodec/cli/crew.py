"""Processes that work on scenes at the same time, and what they tell meanwhile.

Strategy: each has a pipe, and one scene at a time. A process that dies (out of memory, killed)
fails its scene and is replaced; one whose parent dies finds its pipe closed, and ends. Ctrl-C
reaches all processes of a terminal, and is the parent's business alone: it ends the others with
SIGTERM, so that they leave nothing half-written.
"""

from __future__ import annotations

import signal
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Protocol, TypeAlias

from gscodec.cli.estimate import Estimate
from gscodec.cli.failures import EXIT_BUG, Failure, debugging, failure_of, hear_warnings
from gscodec.cli.jobs import Job, Skipped
from gscodec.cli.session import Session
from gscodec.cli.streams import sane_streams
from gscodec.disk import signals

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

    from gscodec.report.summary import Summary

_OFTEN = 0.1  # seconds between two reports on one stage
_DYING = 60.0  # seconds that the end of a process takes at most that has closed its pipe
_PATIENCE = 5.0  # seconds until a process that is to end is killed


class Recipe(Protocol):
    """What is done to each scene; it can be sent to another process."""

    @property
    def command(self) -> str:
        """Its name on the command line."""

    def place(self, job: Job) -> str:
        """The output of ``job``, as far as its source need not be read for that."""

    def __call__(self, job: Job, session: Session) -> Summary:
        """Does it.

        Raises:
            Skipped: The output is there, and is to be left alone.
            GscodecError: It cannot be done.
        """


@dataclass(frozen=True)
class Stage:
    """How far a scene is: what is done now, the share of the whole, and seconds left."""

    told: str
    share: float
    left: float | None


@dataclass(frozen=True)
class Said:
    """A line for the user."""

    line: str


@dataclass(frozen=True)
class Left:
    """The output ``name`` is there already."""

    name: str


if TYPE_CHECKING:
    Told: TypeAlias = Stage | Said | Left | Failure | Summary


def attempt(recipe: Recipe, job: Job, session: Session) -> Summary | Failure | Left:
    """What comes of ``job``; no exception but a signal gets out."""
    try:
        with session:
            return recipe(job, session)
    except Skipped as skipped:
        return Left(str(skipped))
    except Exception as error:  # noqa: BLE001
        if debugging():
            import traceback

            traceback.print_exc()
        return failure_of(error)


def crew(recipe: Recipe, jobs: Sequence[Job], count: int) -> Generator[tuple[int, Told]]:
    """Works on ``jobs`` in ``count`` processes: yields what is told of each, by its number.

    To be closed by whoever leaves before the end, for no process ends by itself. The last thing
    that is told of a job is a summary, a failure, or that its output was left.
    """
    waiting = list(enumerate(jobs))[::-1]
    busy: list[_Worker] = []
    try:
        while waiting or busy:
            while waiting and len(busy) < count:
                busy.append(_Worker(recipe, waiting.pop()))
            for pipe in wait([worker.pipe for worker in busy]):
                worker = next(worker for worker in busy if worker.pipe is pipe)
                told = worker.heard()
                number = worker.number
                if not isinstance(told, (Stage, Said)):
                    if waiting and worker.alive:
                        worker.give(waiting.pop())
                    else:
                        busy.remove(worker)
                        worker.dismiss()
                yield number, told
    finally:
        for worker in busy:
            worker.end()
        for worker in busy:
            worker.gone()


class _Worker:
    """The parent's side of a process."""

    def __init__(self, recipe: Recipe, first: tuple[int, Job]) -> None:
        context = get_context("spawn")  # threads of numpy and numba do not survive a fork
        self.pipe, theirs = context.Pipe()
        self.alive = True
        # No daemon: it may have processes of its own, for tiles.
        self._process: BaseProcess = context.Process(target=_serve, args=(theirs, recipe))
        with _without_interrupts():
            self._process.start()
        theirs.close()
        self.give(first)

    def give(self, job: tuple[int, Job]) -> None:
        self.number = job[0]
        with suppress(OSError):  # it has died; `heard` says so
            self.pipe.send(job[1])

    def heard(self) -> Told:
        try:
            told: Told = self.pipe.recv()
        except (EOFError, OSError):
            self.alive = False
            self._process.join(_DYING)
            return Failure(EXIT_BUG, "Died", self._cause())
        return told

    def _cause(self) -> str:
        code = self._process.exitcode or 0
        if code == -signal.SIGKILL:
            return "the process was killed, perhaps for want of memory; try fewer --jobs"
        return f"the process ended unexpectedly, with exit code {code}"

    def dismiss(self) -> None:
        """There is nothing more to do."""
        self.pipe.close()
        self.gone()

    def end(self) -> None:
        self._process.terminate()

    def gone(self) -> None:
        self._process.join(_PATIENCE)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """What starts now never sees Ctrl-C; here it waits until then."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Piped:
    """A view in another process."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._last = ("", 0.0)
        self.estimate = Estimate()

    def show(self, stage: str, share: float, detail: str) -> None:  # noqa: ARG002
        """Sends what is new, not too often."""
        now = time.monotonic()
        name, since = self._last
        if stage != name or now - since > _OFTEN:
            self._last = stage, now
            found = self.estimate
            self._pipe.send(Stage(found.told(), found.share() or 0.0, found.left()))

    def say(self, line: str) -> None:
        """Sends ``line``."""
        self._pipe.send(Said(line))

    def close(self) -> None:
        """Does nothing."""


def _serve(pipe: Connection, recipe: Recipe) -> None:
    """The process: works on what comes through ``pipe`` until that is closed."""
    signals.catch()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    hear_warnings(_Piped(pipe).say)
    with sane_streams():
        try:
            while True:
                job: Job = pipe.recv()
                view = _Piped(pipe)
                session = Session(view, estimate=view.estimate)
                pipe.send(attempt(recipe, job, session))
        except (EOFError, BrokenPipeError, ConnectionError):  # nobody waits for it any longer
            sys.exit(0)
