"""What all commands have in common."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup

from gscodec.errors import UsageError


class UnexpectedError(Exception):
    """Carries ``error`` past typer, which makes less of it than it is."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


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

    Raises:
        UsageError: There is one.
    """

    def invoke(self, ctx: Any) -> Any:
        """Runs the command."""
        for parameter in self.params:
            value = ctx.params.get(parameter.name or "")
            if value == "" or (isinstance(value, (list, tuple)) and "" in value):
                name = (
                    parameter.opts[-1]
                    if parameter.param_type_name == "option"
                    else parameter.metavar
                )
                raise UsageError(f"{name}: found an empty text, expected a value")
        return super().invoke(ctx)
