"""The contract of a method: scene <-> streams (checked by tests/test_every_method.py)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from gscodec.errors import FormatError
from gscodec.payload import Attribute, Payload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from gscodec.anchors import Scene
    from gscodec.bitmap import BitMap
    from gscodec.room import Room


class Progress(Protocol):
    """Hears how far the work is."""

    def __call__(self, stage: str, share: float, detail: str = "", /) -> None:
        """``share`` of ``stage`` is done, 0 to 1; ``detail`` says how it goes, for people."""


@dataclass(frozen=True)
class Coded:
    """What a method's encoder gives.

    Attributes:
        payload: Header and streams; ``payload.meta`` has the settings and the report.
        reconstruction: The scene that the decoder must produce, bit for bit.
        notes: One line for each thing that was changed, merged, clamped or reordered.
        look: Renders both scenes, telling the share that is done: PSNR in dB of the
            reconstruction in each view that shows something of the source. None: nothing that a
            renderer sees was changed.
        unseen: Why ``look`` finds no view.
        order: (M,) int64, which primitive of the source each of ``reconstruction`` is; None
            where they are in its order.
        model: What coded it, from which another training of the same scene may go on.
        exact: How many primitives at the end of ``reconstruction`` are those of the source. They
            are not looked at: one of them may hide all others.
    """

    payload: Payload
    reconstruction: Scene
    notes: tuple[str, ...] = field(default=())
    look: Callable[[Callable[[float], None]], Sequence[float]] | None = None
    unseen: str = ""
    exact: int = 0
    order: NDArray[np.int64] | None = None
    model: object = None

    @property
    def lossy(self) -> Scene:
        """``reconstruction`` without those that are exact."""
        if not self.exact:
            return self.reconstruction
        return self.reconstruction.take(np.arange(len(self.reconstruction) - self.exact))


class MethodModule(Protocol):
    """What a module of a method has.

    ``Options`` is a frozen dataclass of the encoder's settings, ``Given`` of what one run of it
    is given besides (views, a state); a decoder takes none. ``decode`` gives bit for bit
    `Coded.reconstruction`, ``spent`` tells of the same primitives in the same order.
    """

    Options: type[Any]
    Given: type[Any]

    def require(self, options: Any) -> None:
        """Refuses, before the work, what cannot be done here: UsageError."""

    def encode(self, scene: Any, options: Any, progress: Progress, given: Any = ...) -> Coded:
        """Fits the model, chooses the symbols, codes them."""

    def decode(
        self, payload: Payload, progress: Progress, threads: int | None = None, room: Room = ...
    ) -> Scene:
        """Gives back exactly the encoder's reconstruction, its arrays where there is ``room``."""

    def spent(self, payload: Payload, progress: Progress, threads: int | None = None) -> BitMap:
        """Tells which bits each primitive takes."""


def streams_of(
    payload: Payload, expected: Iterable[tuple[Attribute, int]]
) -> dict[tuple[Attribute, int], bytes]:
    """The streams of ``payload`` by attribute and block, extras aside.

    Raises:
        FormatError: One of ``expected`` is missing, or there is another.
    """
    found: dict[tuple[Attribute, int], bytes] = {
        (s.attribute, s.block): s.data
        for s in payload.streams
        if s.attribute is not Attribute.EXTRA
    }
    wanted = set(expected)
    for words, keys in (
        ("missing", wanted - found.keys()),
        ("not expected", found.keys() - wanted),
    ):
        if keys:
            attribute, block = min(keys)
            raise FormatError(f"stream {attribute.name}, block {block}: {words}")
    return found
