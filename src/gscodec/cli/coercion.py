"""Texts of the command line -> values, without loading what is needed for few of them.

Newer typers leave all of them to pydantic, which takes longer to load than all of a command. Texts
are texts without it, and what is not given needs nobody; numbers go its way.
"""

from __future__ import annotations

from typing import Any


class Quick:
    """In place of what a typer's parameter coerces with, if it has that."""

    def __init__(self, parameter: Any) -> None:
        self._usual = parameter.get_runtime_param
        annotation = parameter.type_descriptor.annotation
        self._is_text = annotation is str or annotation == list[str]

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """``value`` as the command wants it."""
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        if self._is_text or value == param.default:
            return value
        return self._usual().coerce(value, param=param, ctx=ctx)


def quickened(parameters: list[Any]) -> list[Any]:
    """``parameters`` of a command, which coerce what needs no pydantic themselves."""
    for parameter in parameters:
        usual = getattr(parameter, "get_runtime_param", None)
        if usual is not None and not isinstance(usual, _Known):
            parameter.get_runtime_param = _Known(Quick(parameter))
    return parameters


class _Known:
    """Gives ``quick`` to whoever calls."""

    def __init__(self, quick: Quick) -> None:
        self._quick = quick

    def __call__(self) -> Quick:
        return self._quick
