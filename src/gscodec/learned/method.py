"""A method that learns: what it says for itself, and what comes with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gscodec.fit.options import Given, Options
from gscodec.learned import needs
from gscodec.learned.decoding import Opened, bit_map_of, open_payload, scene_of
from gscodec.learned.model import Learner
from gscodec.room import MEMORY
from gscodec.threads import one_blas_thread

if TYPE_CHECKING:
    from gscodec.anchors import Scene
    from gscodec.bitmap import BitMap
    from gscodec.method import Coded, Progress
    from gscodec.payload import Payload
    from gscodec.room import Room

_NOTHING = Given()


@dataclass(frozen=True)
class LearnedMethod(Learner):
    """A method, for every kind of scene; a module of `gscodec.methods` is one."""

    Options: type[Any] = Options
    Given: type[Any] = Given

    def require(self, chosen: Any) -> None:
        """Refuses, before the work, what cannot be done here: UsageError."""
        needs.require(self, chosen)

    def encode(
        self, scene: Scene, chosen: Any, progress: Progress, given: Any = _NOTHING
    ) -> Coded:
        """See `learned.wanted.encode`."""
        from gscodec.learned.wanted import encode

        return encode(self, scene, chosen, given, progress)

    def decode(
        self,
        payload: Payload,
        progress: Progress,
        threads: int | None = None,
        room: Room = MEMORY,
    ) -> Scene:
        """Gives back exactly the encoder's reconstruction."""
        opened = self.opened(payload, progress, threads, room)
        return scene_of(opened, progress, threads, room)

    def spent(self, payload: Payload, progress: Progress, threads: int | None = None) -> BitMap:
        """Tells which bits each primitive takes."""
        return bit_map_of(self.opened(payload, progress, threads), progress, threads)

    def opened(
        self,
        payload: Payload,
        progress: Progress,
        threads: int | None = None,
        room: Room = MEMORY,
    ) -> Opened:
        """``payload`` with everything decoded but its blocks."""
        with one_blas_thread():
            return open_payload(payload, self, progress, threads, room)
