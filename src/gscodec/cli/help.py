"""``--help``: options in groups, as wide as the terminal, wrapped with a hanging indent.

Without rich, which takes longer to load than all the rest. A group is what options name as their
``rich_help_panel``.
"""

from __future__ import annotations

from contextlib import contextmanager
from textwrap import wrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_INDENT = 2
_FIRST = 26  # columns of names; a longer one has a line for itself
_OTHERS = "Options"
_LAST = "Run"  # the group of what all commands have


def usage(command: Any) -> list[str]:
    """The pieces of the usage line after the command's name."""
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    return [*(p.metavar for p in arguments), "[OPTIONS]"]


def command_options(command: Any, ctx: Any, formatter: Any) -> None:
    """Writes what a command takes."""
    for title, rows in groups_of(command, ctx).items():
        with section(formatter, title):
            definitions(formatter, rows)


def groups_of(command: Any, ctx: Any) -> dict[str, list[tuple[str, str]]]:
    """What a command takes, names and texts by the title of their group."""
    groups: dict[str, list[tuple[str, str]]] = {}
    last: dict[str, list[tuple[str, str]]] = {}
    parameters = command.get_params(ctx)
    panels = {getattr(parameter, "rich_help_panel", None) for parameter in parameters}
    for parameter in parameters:
        if parameter.hidden:
            continue
        if parameter.param_type_name == "argument":
            groups.setdefault("Arguments", []).append((parameter.metavar, parameter.help))
            continue
        is_help = set(parameter.opts) & {"-h", "--help"}
        group = (
            _LAST
            if is_help and _LAST in panels
            else getattr(parameter, "rich_help_panel", None) or _OTHERS
        )
        into = last if group == _LAST else groups
        into.setdefault(group, []).append((_names(parameter), parameter.help or ""))
    return {**groups, **last}


def _names(option: Any) -> str:
    """A short name first, and what it takes."""
    names = sorted(option.opts, key=lambda name: name.startswith("--"))
    shown = ", ".join(names)
    if names[0].startswith("--"):
        shown = f"    {shown}"
    return shown if option.is_flag or not option.metavar else f"{shown} {option.metavar}"


@contextmanager
def section(formatter: Any, title: str) -> Iterator[None]:
    """A heading, with an empty line before it."""
    formatter.write(f"\n{title}:\n")
    yield


def definitions(formatter: Any, rows: Sequence[tuple[str, str]]) -> None:
    """Names and texts in two columns; names are broken nowhere, texts only at blanks."""
    longest = max(len(name) for name, _ in rows)
    start = _INDENT + min(longest, _FIRST) + 2
    for name, text in rows:
        lines = wrap(
            text, formatter.width - start, break_on_hyphens=False, break_long_words=False
        )
        head = " " * _INDENT + name
        if len(name) <= _FIRST and lines:
            head = f"{head:<{start}}{lines.pop(0)}"
        body = "".join(f"{'':{start}}{line}\n" for line in lines)
        formatter.write(f"{head}\n{body}")
