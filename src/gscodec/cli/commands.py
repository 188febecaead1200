"""What all commands have in common."""

from __future__ import annotations

from typing import Any

from typer import Abort, Exit
from typer.core import TyperCommand, TyperGroup

from gscodec.cli.failures import UnexpectedError, failure_of
from gscodec.disk.files import STDIO
from gscodec.errors import UsageError


class Commands(TyperGroup):
    """A group whose errors arrive.

    Typer says "Aborted!" about an EOFError, which bad data raises too, and ends without a word
    where any pipe breaks.
    """

    def invoke(self, ctx: Any) -> Any:
        """Runs the command; what typer would take for something else, as `UnexpectedError`."""
        try:
            return super().invoke(ctx)
        except (EOFError, OSError) as error:
            raise UnexpectedError(error) from error


class Command(TyperCommand):
    """A command that takes no empty texts: a script's unset variable names no file.

    Where its report is to be JSON, so is its error.

    Raises:
        UsageError: There is one.
    """

    def invoke(self, ctx: Any) -> Any:
        """Runs the command."""
        try:
            self._check_texts(ctx.params)
            return super().invoke(ctx)
        except (Abort, Exit):
            raise
        except Exception as error:
            if ctx.params.get("as_json"):
                _tell_program(self.name or "", ctx.params, error)
            raise

    def _check_texts(self, given: dict[str, object]) -> None:
        for parameter in self.params:
            value = given.get(parameter.name or "")
            if value == "" or (isinstance(value, (list, tuple)) and "" in value):
                name = (
                    parameter.opts[-1]
                    if parameter.param_type_name == "option"
                    else parameter.metavar
                )
                raise UsageError(f"{name}: found an empty text, expected a value")


def _tell_program(command: str, given: dict[str, Any], error: Exception) -> None:
    """The error as JSON, where the report would have been."""
    from gscodec.cli.outcome import failed, report

    source, output = given.get("source"), given.get("output")
    to_stdout = output == STDIO or (source == STDIO and "output" in given and not output)
    report(failed(command, failure_of(error), source, output), to_stderr=to_stdout)
