"""Several files looked at one after the other: errors are told, and the worst one's code counts."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from gscodec.cli.failures import failure_of, worst
from gscodec.report.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def each(
    command: str, sources: Sequence[str], look: Callable[[str], None], *, as_json: bool
) -> None:
    """Calls ``look`` with each of ``sources``.

    Raises:
        GscodecError: The only one failed.
        Exit: Some of several failed.
    """
    if len(sources) == 1:
        look(sources[0])
        return
    codes = []
    for source in sources:
        try:
            look(source)
        except Exception as error:  # noqa: BLE001
            failure = failure_of(error)
            codes.append(failure.code)
            sys.stderr.write(f"gscodec: error: {failure.about(printable(source))}\n")
            if as_json:
                from gscodec.cli.outcome import failed, report

                report(failed(command, failure, source))
    if codes:
        raise typer.Exit(worst(codes))
