"""What one file of a learned method says: the contract between a method and this package."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from gscodec.fit.options import Options
    from gscodec.fit.subject import Work
    from gscodec.fit.targets import Targets
    from gscodec.kinds import Values
    from gscodec.learned.networks import Known
    from gscodec.payload import Attribute, Method
    from gscodec.units import Place, Unit

    Streams = Mapping[tuple[Attribute, int], bytes]
    Fit = Callable[[Work, Targets, Options, float, Callable[[float], None]], "Model"]
    Read = Callable[[Streams, tuple[Unit, ...], int], "Model"]
    Prepare = Callable[[Work, Targets, Options, Callable[[float], None]], Work]
    Restore = Callable[[Any, Place, Iterable[Values]], Iterable[Values]]


def as_they_are(
    work: Work,
    targets: Targets,  # noqa: ARG001
    options: Options,  # noqa: ARG001
    progress: Callable[[float], None],  # noqa: ARG001
) -> Work:
    """Units are coded as they are in the scene."""
    return work


def as_coded(model: Model, place: Place, decoded: Iterable[Values]) -> Iterable[Values]:  # noqa: ARG001
    """Units are in the scene as they are coded."""
    return decoded


def nothing_more(model: Model, place: Place) -> Model:  # noqa: ARG001
    """What positions tell of the ``model`` of most methods."""
    return model


@dataclass(frozen=True)
class Learner:
    """What a method says for itself.

    Attributes:
        number: On the wire.
        name: As people write it.
        shared: Attributes with one stream of the whole scene, in which the model is.
        optional: Those of them that a file may lack.
        read: Streams, units and depth of the octree to a model.
        fit: Work, targets, options, share of the iterations and progress to a model.
        placed: A model that was read, with what the positions of the whole scene tell.
        instant: Whether it has effort instant, which needs no library that decoding does not.
        torch: Whether its training is torch's.
        prepare: Work, targets, options and progress to work in the columns that are coded.
        restore: Model, place and the coded units of a block to those of the scene; inverse.
    """

    number: Method
    name: str
    shared: tuple[Attribute, ...]
    read: Read
    fit: Fit
    placed: Callable[[Any, Place], Model] = nothing_more
    instant: bool = False
    torch: bool = False
    prepare: Prepare = as_they_are
    restore: Restore = as_coded
    optional: tuple[Attribute, ...] = ()


class Model(Protocol):
    """Everything that a decoder needs besides positions and residuals; integers, frozen."""

    @property
    def width(self) -> int:
        """Columns of what is known of a primitive in the end, a byte each."""

    def known(self, place: Place) -> Known:
        """What is known of a block before its first unit is."""

    def streams(self) -> dict[Attribute, bytes]:
        """Those that hold this model."""

    def at(self, ratio: float) -> Model:
        """The same for ``ratio`` times the lambda that it was learned at."""

    def farthest_mean(self) -> int:
        """Largest magnitude of a typical value, quanta; an encoder looks at it."""
