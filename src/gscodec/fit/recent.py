"""What was measured of the last scene, by its hash: the next lambda need not measure again."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from gscodec.anchors import AnchorScene
    from gscodec.scene import GaussianScene

T = TypeVar("T")


class Recent(Generic[T]):
    """One result, kept until another one is asked for: memory must not grow with use."""

    def __init__(self) -> None:
        self._last: tuple[bytes, T] | None = None

    def get(self, key: bytes, make: Callable[[], T]) -> T:
        """What ``make`` gives; what it gave the last time if that was under the same ``key``."""
        last = self._last
        if last is None or last[0] != key:
            self._last = None  # not both at once
            self._last = last = (key, make())
        return last[1]


def key_of(scene: GaussianScene | AnchorScene, *settings: object) -> bytes:
    """Of a scene's values and of ``settings``, whose `repr` tells all."""
    return hashlib.sha256(scene.digest() + repr(settings).encode()).digest()
