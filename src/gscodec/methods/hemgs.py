"""Method `hemgs`: decoded neighbours as context (Liu et al., HEMGS).

As in `hac` positions are coded losslessly and small integer networks predict step, centre and
spread of each unit. In place of a grid they see what is already decoded around: the
primitives of a block are coded in turns, each turn sees the nearest ones of earlier turns
(`learned.around`). Where this differs from the paper: docs/hemgs.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gscodec.coding import Decoder
from gscodec.fit.options import Options as LearnedOptions
from gscodec.intnet.prior import named, shipped
from gscodec.learned.around import Around, around_of, decode_around, known
from gscodec.learned.method import LearnedMethod
from gscodec.payload import Attribute, Method

if TYPE_CHECKING:
    from collections.abc import Callable

    from gscodec.fit.subject import Work
    from gscodec.fit.targets import Targets
    from gscodec.learned.model import Streams
    from gscodec.units import Unit

Model = Around


@dataclass(frozen=True)
class HemgsOptions(LearnedOptions):
    """Settings of the encoder; see `LearnedOptions`.

    Attributes:
        embed_prior: Whether the file holds the prior that it needs, for a decoder that lacks it.
    """

    embed_prior: bool = False


def read(streams: Streams, units: tuple[Unit, ...], position_bits: int) -> Model:
    """See `Model.streams`.

    Raises:
        FormatError: The stream is damaged.
    """
    decoder = Decoder(streams[Attribute.NETWORKS, 0])
    told = streams.get((Attribute.PRIOR, 0))
    prior = None if told is None else named(told, units)
    model = decode_around(decoder, units, position_bits, prior=prior)
    decoder.finish()
    return model


def fit(
    work: Work,
    targets: Targets,
    options: LearnedOptions,
    share: float,
    progress: Callable[[float], None],
) -> Model:
    """Trains the networks for ``targets``, in ``share`` of the usual iterations."""
    from gscodec.fit.hemgs import learn

    units = targets.units
    held = isinstance(options, HemgsOptions) and options.embed_prior
    prior = replace(shipped(units), held=held)
    box, usual, learned = learn(
        work.codes,
        targets,
        options,
        share,
        progress,
        prior=prior.shared,
        start=known(work.start, targets.units),
    )
    return around_of(targets.units, box, usual, learned, prior)


METHOD = LearnedMethod(
    Method.HEMGS,
    "hemgs",
    (Attribute.NETWORKS, Attribute.PRIOR),
    read,
    fit,
    instant=True,
    optional=(Attribute.PRIOR,),
    Options=HemgsOptions,
)
Options, Given, require = METHOD.Options, METHOD.Given, METHOD.require
encode, decode, spent = METHOD.encode, METHOD.decode, METHOD.spent
