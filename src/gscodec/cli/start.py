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
_NO_TORCH = "encoding with a learned method needs torch; pip install 'gscodec[encode]'"


def main() -> NoReturn:
    """Runs the command line and exits with its code."""
    signals.catch()
    code: object = _EXIT_BUG
    with sane_streams():
        try:
            code = _run()
        except SystemExit as end:
            code = end.code
            if isinstance(end, signals.Interrupted) and signals.complete():
                names = ", ".join(signals.complete())
                sys.stderr.write(f"gscodec: interrupted; complete: {names}\n")
        signals.let_go(ignored=not code)
    sys.exit(code)


def _run() -> int:
    import warnings

    from gscodec.cli.app import app
    from gscodec.cli.commands import UnexpectedError
    from gscodec.errors import GscodecError, GscodecWarning, UsageError

    if not _debug():
        warnings.simplefilter("ignore")
    warnings.simplefilter("default", GscodecWarning)
    warnings.showwarning = _show  # type: ignore[assignment]
    try:
        app(prog_name="gscodec")
    except GscodecError as error:
        return _failed(error.exit_code, str(error))
    except MemoryError:
        return _failed(_EXIT_BUG, "out of memory; use a machine with more, or a smaller scene")
    except ModuleNotFoundError as error:
        if error.name != "torch":
            return _bug(error)
        return _failed(UsageError.exit_code, _NO_TORCH)
    except UnexpectedError as error:
        return _bug(error.error)
    except Exception as error:  # noqa: BLE001
        return _bug(error)
    return 0


def _show(message: Warning, kind: type[Warning], file: str, line: int, *_: object) -> None:
    import warnings

    from gscodec.errors import GscodecWarning
    from gscodec.report.text import printable

    ours = f"gscodec: {printable(str(message))}\n"
    theirs = warnings.formatwarning(message, kind, file, line)
    sys.stderr.write(ours if issubclass(kind, GscodecWarning) else theirs)


def _bug(error: Exception) -> int:
    hint = "" if _debug() else "; set GSCODEC_DEBUG=1 for the traceback, and please report it"
    return _failed(_EXIT_BUG, f"unexpected {type(error).__name__}: {error}{hint}")


def _failed(code: int, message: str) -> int:
    """``code``; to be called where an exception is being handled."""
    from gscodec.report.text import printable

    if _debug():
        import traceback

        traceback.print_exc()
    sys.stderr.write(f"gscodec: error: {printable(message)}\n")
    return code


def _debug() -> bool:
    import os

    return os.environ.get("GSCODEC_DEBUG", "0") not in {"", "0"}
