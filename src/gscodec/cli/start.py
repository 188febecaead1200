"""One run from its first moment to its exit code.

Strategy: signals and streams come first, because everything else takes a while to load. Codes
are those of `gscodec.errors`.
"""

from __future__ import annotations

import sys

from gscodec.cli.streams import sane_streams
from gscodec.disk import signals

TYPE_CHECKING = False  # as in `typing`, which takes long to load
if TYPE_CHECKING:
    from typing import NoReturn

_EXIT_BUG = 1


def main() -> NoReturn:
    """Runs the command line and exits with its code."""
    signals.catch()
    code: object = _EXIT_BUG
    with sane_streams():
        try:
            code = _run()
        except SystemExit as end:
            code = end.code
            if isinstance(end, signals.Interrupted):
                told = signals.told() or "nothing was written"
                sys.stderr.write(f"gscodec: interrupted; {told}\n")
        signals.let_go(ignored=not code)
    sys.exit(code)


def _run() -> int:
    from gscodec.cli.app import app
    from gscodec.cli.failures import debugging, failure_of, hear_warnings

    hear_warnings(lambda line: sys.stderr.write(f"{line}\n"))
    try:
        app(prog_name="gscodec")
    except Exception as error:  # noqa: BLE001
        if debugging():
            import traceback

            traceback.print_exc()
        failure = failure_of(error)
        sys.stderr.write(f"gscodec: error: {failure.message}\n")
        return failure.code
    return 0
