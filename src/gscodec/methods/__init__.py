"""Methods: one file each, Scene <-> streams.

Contract of a method module (checked for every name by tests/test_every_method.py):

* ``Options``: frozen dataclass of the encoder's settings; a decoder takes none.
* ``require(options)``: UsageError where a library or a device that encoding needs is missing.
* ``encode(scene, options, progress) -> Coded``
* ``decode(payload, progress, threads) -> Scene``, bit for bit ``Coded.reconstruction``.
* ``spent(payload, progress, threads) -> BitMap``, of the same primitives in the same order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from gscodec.errors import FormatError, UnsupportedError, UsageError
from gscodec.payload import Attribute, Method, Payload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from gscodec.anchors import Scene
    from gscodec.bitmap import BitMap


class Progress(Protocol):
    """Hears how far the work is."""

    def __call__(self, stage: str, share: float, detail: str = "", /) -> None:
        """``share`` of ``stage`` is done, 0 to 1; ``detail`` says how it goes, for people."""


_MODULES = {Method.RAW: "raw", Method.HAC: "hac"}


@dataclass(frozen=True)
class Coded:
    """What a method's encoder gives.

    Attributes:
        payload: Header and streams; ``payload.meta`` has the settings and the report.
        reconstruction: The scene that the decoder must produce, bit for bit.
        notes: One line for each thing that was changed, merged, clamped or reordered.
        look: Renders both scenes: PSNR in dB of the reconstruction in each view that shows
            something of the source. None: nothing that a renderer sees was changed.
        exact: How many primitives at the end of ``reconstruction`` are those of the source. They
            are not looked at: one of them may hide all others.
    """

    payload: Payload
    reconstruction: Scene
    notes: tuple[str, ...] = field(default=())
    look: Callable[[], Sequence[float]] | None = None
    exact: int = 0

    @property
    def lossy(self) -> Scene:
        """``reconstruction`` without those that are exact."""
        if not self.exact:
            return self.reconstruction
        return self.reconstruction.take(np.arange(len(self.reconstruction) - self.exact))


class MethodModule(Protocol):
    """The shape of a module in this package."""

    Options: type[Any]

    def require(self, options: Any) -> None:
        """Refuses, before the work, what cannot be done here: UsageError."""

    def encode(self, scene: Any, options: Any, progress: Progress) -> Coded:
        """Fits the model, chooses the symbols, codes them."""

    def decode(self, payload: Payload, progress: Progress, threads: int | None = None) -> Scene:
        """Gives back exactly the encoder's reconstruction."""

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


def names() -> tuple[str, ...]:
    """Names of the methods, in the order of their wire numbers."""
    return tuple(_MODULES[method] for method in sorted(_MODULES))


def by_name(name: str) -> MethodModule:
    """The module of method ``name``.

    Raises:
        UsageError: If there is none.
    """
    if name not in names():
        raise UsageError(f"method: found {name!r}, expected one of {', '.join(names())}")
    return cast("MethodModule", import_module(f"gscodec.methods.{name}"))


def by_id(method: Method) -> MethodModule:
    """The module that decodes ``method``.

    Raises:
        UnsupportedError: If this version has none.
    """
    if method not in _MODULES:
        raise UnsupportedError(
            f"method {method.name.lower()}: not in this version of gscodec, which decodes "
            f"{', '.join(names())}"
        )
    return by_name(_MODULES[method])
