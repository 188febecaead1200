"""Jobs on a cluster of Ray, or on a Ray of this machine alone."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar

from gscodec.errors import UsageError
from gscodec.workers import MOST_DEATHS, death_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Job = TypeVar("Job")
Result = TypeVar("Result")
LOCAL = "ray"  # an address: of this machine, for this run
_SPARE = 1  # jobs that wait beside those that are done


class Cluster:
    """Whatever processors the cluster has, one for each job.

    A worker that dies is replaced by Ray, which does the job again.
    """

    def __init__(self, address: str) -> None:
        """``address`` is ``ray://HOST:PORT``, or `LOCAL`.

        Raises:
            UsageError: Ray is not installed, or nobody answers.
        """
        if find_spec("ray") is None:
            raise UsageError("--workers: needs ray; pip install 'gscodec[cluster]'")
        self._address = address

    def results(
        self, work: Callable[[Job], Result], jobs: Iterable[tuple[int, Job]]
    ) -> Iterator[tuple[int, Result]]:
        """See `tiling.Workers`.

        Raises:
            OutOfMemoryError: Workers die again and again.
        """
        ray = self._connected()
        remote = ray.remote(num_cpus=1, max_retries=MOST_DEATHS - 1)(work)
        coming = iter(jobs)
        at_work: dict[Any, int] = {}
        most = max(1, int(ray.cluster_resources().get("CPU", 1))) + _SPARE
        while True:
            while len(at_work) < most:
                given = next(coming, None)
                if given is None:
                    break
                at_work[remote.remote(given[1])] = given[0]
            if not at_work:
                return
            done, _ = ray.wait(list(at_work))
            for reference in done:
                number = at_work.pop(reference)
                try:
                    result = ray.get(reference)
                except ray.exceptions.RayTaskError as error:
                    raise error.cause from error
                except (
                    ray.exceptions.WorkerCrashedError,
                    ray.exceptions.OutOfMemoryError,
                    ray.exceptions.NodeDiedError,
                ) as error:
                    raise death_of(number, MOST_DEATHS) from error
                yield number, result

    def _connected(self) -> Any:
        import ray

        if not ray.is_initialized():
            address = {} if self._address == LOCAL else {"address": self._address}
            try:
                ray.init(log_to_driver=False, logging_level="ERROR", **address)
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise UsageError(
                    f"--workers: found no Ray at {self._address}: {error}"
                ) from error
        return ray
