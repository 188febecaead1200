"""Jobs in processes of this machine: one that dies is replaced, and nothing is lost."""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from gscodec.errors import OutOfMemoryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Job = TypeVar("Job")
Result = TypeVar("Result")
MOST_DEATHS = 4  # of workers with the same job


class _Given(NamedTuple):
    """A job that was given to a worker, and how many have died while they had it."""

    number: int
    job: object
    deaths: int = 0


class Pool:
    """So many processes, each with one job at a time."""

    def __init__(self, count: int) -> None:
        self._count = count

    def results(
        self, work: Callable[[Job], Result], jobs: Iterable[tuple[int, Job]]
    ) -> Iterator[tuple[int, Result]]:
        """See `tiling.Workers`.

        Raises:
            OutOfMemoryError: Workers die again and again.
        """
        coming, again = iter(jobs), deque[_Given]()
        pool = self._pool()
        at_work: dict[Future[Result], _Given] = {}
        try:
            while True:
                while len(at_work) <= self._count:  # one waits, so that nobody has to
                    given = again.popleft() if again else _next(coming)
                    if given is None:
                        break
                    at_work[pool.submit(work, given.job)] = given  # type: ignore[arg-type]
                if not at_work:
                    return
                done, _ = wait(at_work, return_when=FIRST_COMPLETED)
                for future in done:
                    given = at_work.pop(future)
                    if isinstance(future.exception(), BrokenProcessPool):
                        again.append(mourned(given))
                    else:
                        yield given.number, future.result()
                if again:  # a pool does nothing more once a worker has died
                    again.extend(mourned(given) for given in at_work.values())
                    at_work.clear()
                    pool.shutdown(cancel_futures=True)
                    pool = self._pool()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _pool(self) -> ProcessPoolExecutor:
        # Threads of libraries do not survive a fork.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self._count, context, _hear_the_pool_alone)


def _next(jobs: Iterator[tuple[int, object]]) -> _Given | None:
    return next((_Given(number, job) for number, job in jobs), None)


def mourned(given: _Given) -> _Given:
    """``given`` for another worker.

    Raises:
        OutOfMemoryError: Too many have died.
    """
    if given.deaths + 1 >= MOST_DEATHS:
        raise death_of(given.number, MOST_DEATHS)
    return given._replace(deaths=given.deaths + 1)


def death_of(number: int, deaths: int) -> OutOfMemoryError:
    """Workers that die have been killed, as a rule where memory is short."""
    return OutOfMemoryError(
        f"tile {number}: {deaths} workers died over it, probably for want of memory; take fewer "
        "--workers or more --tiles"
    )


def _hear_the_pool_alone() -> None:
    """Whoever gave the jobs decides what Ctrl-C means, and ends workers with SIGTERM.

    A run that ignores SIGTERM would hand that on: then a worker that waits to hand its result over
    while another one dies waits for ever, and the pool for it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
