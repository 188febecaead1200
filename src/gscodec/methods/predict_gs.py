"""Method `predict-gs`: a pool predicts, the residual is coded in a learned basis (Predict-GS).

Features of anchors, higher SH of Gaussians: coordinates in a basis that is learned for the
scene. A spatial feature pool predicts them where that pays; their residuals, and all other
units, are coded under the laws of decoded neighbours (`learned.around`). Where this differs
from the paper: docs/predict-gs.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gscodec.coding import Decoder
from gscodec.geometry import morton
from gscodec.intnet.context import UnitModel
from gscodec.intnet.prediction import Prediction, decode_prediction, mixed
from gscodec.kinds import Values
from gscodec.learned.around import Around, around_of, decode_around, known
from gscodec.learned.method import LearnedMethod
from gscodec.payload import Attribute, Method

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from gscodec.fit.options import Options as LearnedOptions
    from gscodec.fit.subject import Work
    from gscodec.fit.targets import Targets
    from gscodec.learned.model import Streams
    from gscodec.learned.networks import Known
    from gscodec.units import Place, Unit

_MIXING_BYTES = 48  # of a mixed column: residual, coordinate, value, each twice


@dataclass(frozen=True)
class Model:
    """Everything that a decoder needs besides positions and residuals.

    Attributes:
        around: Laws of all units.
        prediction: Of the units that are `intnet.prediction.mixed`.
    """

    around: Around
    prediction: Prediction

    @property
    def width(self) -> int:
        """Bytes of what is known of a primitive in the end."""
        units = self.around.networks.units
        columns = sum(units[number].columns for number in mixed(units))
        return self.around.width + _MIXING_BYTES * columns

    def known(self, place: Place) -> Known:
        """Positions, and where neighbours are."""
        return self.around.known(place)

    def streams(self) -> dict[Attribute, bytes]:
        """Networks; the grid of the pool; basis and fusion network."""
        grid, basis = self.prediction.encode()
        return {**self.around.streams(), Attribute.GRID: grid, Attribute.BASIS: basis}

    def at(self, ratio: float) -> Model:
        """Coarser steps for ``ratio`` times the lambda."""
        return replace(self, around=self.around.at(ratio))

    def farthest_mean(self) -> int:
        """Magnitude, quanta."""
        return self.around.farthest_mean()


@dataclass(frozen=True)
class _Mixed(Values):
    """A unit whose columns have fractions of their own.

    Attributes:
        fraction_bits: (columns,) of each.
    """

    fraction_bits: NDArray[np.int64]

    def floats(self, rows: slice = slice(None)) -> NDArray[np.float64]:
        """The values of ``rows``, exact."""
        return np.ldexp(self.quanta[rows].astype(np.float64), -self.fraction_bits)


def restored(model: Model, place: Place, decoded: Iterable[Values]) -> Iterator[Values]:
    """Units of a block as they are in the scene, from those that are coded."""
    if not model.prediction:
        yield from decoded
        return
    numbers, held = mixed(model.around.networks.units), list[Values]()
    for number, own in enumerate(decoded):
        if number not in numbers:
            yield own
            continue
        held.append(own)
        if number == numbers[-1]:
            yield from _values(model.prediction, place, held)


def _values(prediction: Prediction, place: Place, held: Sequence[Values]) -> Iterator[Values]:
    models = [own.model for own in held]
    bits = [model.fraction_bits for model in models if isinstance(model, UnitModel)]
    cells = morton.decode(place.codes)
    quanta, fractions = prediction.values(cells, [own.quanta for own in held], bits)
    start = 0
    for own in held:
        part = slice(start, start + own.unit.columns)
        yield _Mixed(own.unit, own.model, quanta[:, part], fractions[part])
        start = part.stop


def read(streams: Streams, units: tuple[Unit, ...], position_bits: int) -> Model:
    """See `Model.streams`.

    Raises:
        FormatError: A stream is damaged.
    """
    columns = sum(units[number].columns for number in mixed(units))
    grid = Decoder(streams[Attribute.GRID, 0])
    basis = Decoder(streams[Attribute.BASIS, 0])
    prediction = decode_prediction(grid, basis, columns, position_bits)
    networks = Decoder(streams[Attribute.NETWORKS, 0])
    around = decode_around(networks, units, position_bits)
    networks.finish()
    return Model(around, prediction)


def prepared(
    work: Work,
    targets: Targets,
    options: LearnedOptions,
    progress: Callable[[float], None],
) -> Work:
    """``work`` with residuals in place of the columns that are mixed."""
    from gscodec.fit.predict_gs import mixed_work

    return mixed_work(work, targets, options, progress)


def fit(
    work: Work,
    targets: Targets,
    options: LearnedOptions,
    share: float,
    progress: Callable[[float], None],
) -> Model:
    """Trains the networks for ``targets``, in ``share`` of the usual iterations."""
    from gscodec.fit.hemgs import learn

    start = known(work.start.around, targets.units) if isinstance(work.start, Model) else None
    box, usual, learned = learn(work.codes, targets, options, share, progress, start=start)
    around = around_of(targets.units, box, usual, learned)
    return Model(around, Prediction() if work.mixing is None else work.mixing.prediction)


METHOD = LearnedMethod(
    Method.PREDICT_GS,
    "predict-gs",
    (Attribute.NETWORKS, Attribute.GRID, Attribute.BASIS),
    read,
    fit,
    prepare=prepared,
    restore=restored,
)
Options, Given, require = METHOD.Options, METHOD.Given, METHOD.require
encode, decode, spent = METHOD.encode, METHOD.decode, METHOD.spent
