"""A scene in runs of whole blocks along the Morton curve, each coded by whoever has time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    Arrays = dict[str, NDArray[Any]]

Job = TypeVar("Job")
Result = TypeVar("Result")


class Workers(Protocol):
    """Where jobs are done."""

    def results(
        self, work: Callable[[Job], Result], jobs: Iterable[tuple[int, Job]]
    ) -> Iterator[tuple[int, Result]]:
        """What ``work`` makes of ``jobs``, each with its number, as they are done.

        Jobs are made when there is somebody to do them. Of a worker that dies, another one does
        the job.
        """


class Kept(Protocol):
    """What a run that was interrupted had done."""

    def get(self, name: str) -> Arrays | None:
        """What was put under ``name``, if it is there and sound."""

    def put(self, name: str, arrays: Arrays) -> None:
        """For a run that goes on with this one."""


class Here:
    """In this process, one after the other."""

    def results(
        self, work: Callable[[Job], Result], jobs: Iterable[tuple[int, Job]]
    ) -> Iterator[tuple[int, Result]]:
        """See `Workers`."""
        return ((number, work(job)) for number, job in jobs)


@dataclass(frozen=True)
class Tiling:
    """How a scene is cut and who codes it; neither changes a byte of the file.

    Attributes:
        count: Tiles; None: as many as there are runs of `LARGEST`.
        workers: Who codes them.
        kept: Where they are kept until all are done, or None.
    """

    LARGEST = 1 << 19

    count: int | None = None
    workers: Workers = field(default_factory=Here)
    kept: Kept | None = None

    def cut(self, count: int, block_size: int) -> list[slice]:
        """Rows of each tile of ``count`` primitives: whole blocks."""
        blocks = -(-count // block_size)
        tiles = self.count or -(-count // self.LARGEST)
        rows = block_size * -(-blocks // min(tiles, blocks))
        return [slice(start, min(start + rows, count)) for start in range(0, count, rows)]
