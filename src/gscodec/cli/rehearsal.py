"""A batch or a single scene that is only checked and estimated: nothing is written."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from gscodec.cli.forecast import Forecast, in_time, in_units
from gscodec.cli.jobs import Job, Skipped, check_apart
from gscodec.cli.outcome import report
from gscodec.cli.several import each
from gscodec.report.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gscodec.cli.batch import Manner
    from gscodec.cli.encoder import Encoding


def rehearse(recipe: Encoding, jobs: Sequence[Job], manner: Manner) -> None:
    """Tells what encoding ``jobs`` would write, and what it would take.

    Raises:
        GscodecError: The only one would be refused.
        Exit: Some of several would be.
    """
    check_apart(jobs, recipe.place)
    found: list[Forecast] = []
    by_source = {job.source: job for job in jobs}

    def look(source: str) -> None:
        job = by_source[source]
        place = recipe.place(job)
        line = f"{printable(source)} -> {printable(place)}"
        told: dict[str, object] = {"command": "encode", "input": source, "output": place}
        try:
            forecast = recipe.forecast(job)
        except Skipped:
            _say(f"{line}: exists already, would be skipped", manner)
            told |= {"status": "skipped"}
        else:
            found.append(forecast)
            _say(f"{line}: {forecast.words()}", manner)
            told |= {"status": "planned", "forecast": forecast.to_json()}
        if manner.as_json:
            report(told)

    try:
        each("encode", list(by_source), look, as_json=manner.as_json)
    finally:
        if len(found) > 1:
            _say(_together(found, min(manner.at_once, len(found))), manner)


def _together(found: Sequence[Forecast], at_once: int) -> str:
    seconds = sum(forecast.seconds for forecast in found) / at_once
    memory = at_once * max(forecast.memory_bytes for forecast in found)
    written = sum(forecast.bytes for forecast in found)
    return (
        f"{len(found)} scenes: about {in_units(written)}, {in_time(seconds)}, "
        f"{in_units(memory)} of memory with {at_once} at once; a guess within a factor of two"
    )


def _say(line: str, manner: Manner) -> None:
    if not manner.quiet:
        sys.stderr.write(f"{line}\n")
