"""An exception or a warning -> an exit code and a line: what people see of it, and programs."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass

from gscodec.errors import GscodecError, GscodecWarning, OutOfMemoryError, UsageError
from gscodec.report.text import printable

TYPE_CHECKING = False  # as in `typing`, which takes long to load
if TYPE_CHECKING:
    from collections.abc import Callable

EXIT_BUG = 1
_NO_TORCH = "encoding with a learned method needs torch; pip install 'gscodec[encode]'"


@dataclass(frozen=True)
class Failure:
    """Why something was not done.

    Attributes:
        code: Exit code.
        kind: Name of the error's class, for programs.
        message: One line.
    """

    code: int
    kind: str
    message: str

    def about(self, name: str) -> str:
        """The message, which names the file that it is about."""
        return self.message if name in self.message else f"{name}: {self.message}"

    def to_json(self) -> dict[str, object]:
        """As plain JSON values."""
        return {"code": self.code, "kind": self.kind, "message": self.message}


class UnexpectedError(Exception):
    """Carries ``error`` past typer, which makes less of it than it is."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def failure_of(error: Exception) -> Failure:
    """What ``error`` means to the user."""
    if isinstance(error, UnexpectedError):
        error = error.error
    kind = type(error).__name__
    if isinstance(error, GscodecError):
        return Failure(error.exit_code, kind, printable(str(error)))
    if said := getattr(error, "format_message", None):  # of the parser of options
        return Failure(UsageError.exit_code, "UsageError", printable(said()))
    if isinstance(error, MemoryError):
        told = (
            "out of memory; give --max-memory, so that scenes are kept in scratch files, or use a "
            "machine with more"
        )
        return Failure(OutOfMemoryError.exit_code, kind, told)
    if isinstance(error, ModuleNotFoundError) and error.name == "torch":
        return Failure(UsageError.exit_code, kind, _NO_TORCH)
    hint = (
        "" if debugging() else "; set GSCODEC_DEBUG=1 for the traceback, and please report it"
    )
    return Failure(EXIT_BUG, kind, printable(f"unexpected {kind}: {error}") + hint)


def worst(codes: list[int]) -> int:
    """The exit code of several; a bug is worse than anything."""
    return EXIT_BUG if EXIT_BUG in codes else max(codes, default=0)


def debugging() -> bool:
    """Whether the user wants tracebacks."""
    return os.environ.get("GSCODEC_DEBUG", "0") not in {"", "0"}


def hear_warnings(say: Callable[[str], object]) -> None:
    """From here on `GscodecWarning` is a line for the user; others are for developers."""
    if not debugging():
        warnings.simplefilter("ignore")
    warnings.simplefilter("default", GscodecWarning)

    def show(message: Warning, kind: type[Warning], file: str, line: int, *_: object) -> None:
        ours = f"gscodec: {printable(str(message))}"
        theirs = warnings.formatwarning(message, kind, file, line).rstrip()
        say(ours if issubclass(kind, GscodecWarning) else theirs)

    warnings.showwarning = show  # type: ignore[assignment]
