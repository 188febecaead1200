"""The commands: which there are, and what all of them have in common.

Strategy: a command is loaded when it is called or asked about; until then this table is all that
is known of it, so that ``gscodec --help`` is quick.
"""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from typing import Any, NamedTuple, cast

import typer
from typer.core import TyperCommand, TyperGroup

from gscodec.cli.coercion import quickened
from gscodec.cli.failures import UnexpectedError, failure_of
from gscodec.cli.help import command_options, definitions, section, usage
from gscodec.cli.hints import check_habits, of_command
from gscodec.disk.files import STDIO
from gscodec.errors import UsageError


class Entry(NamedTuple):
    """A command.

    Attributes:
        module: Where it is, in ``gscodec.cli``; the function has the command's name.
        about: The first line of its help.
        examples: Lines as a user would type them.
    """

    module: str
    about: str
    examples: tuple[str, ...] = ()


COMMANDS = {
    "encode": Entry(
        "encoding",
        "Make scenes small: IN.ply, or IN, a checkpoint folder -> OUT.gsz.",
        (
            "gscodec encode scene.ply",
            "gscodec encode scene.ply small.gsz --quality medium",
            "gscodec encode scene.ply -o scene.gsz --effort high --views data/",
            "gscodec encode scenes/*.ply -o coded/ --skip-existing --jobs 4",
        ),
    ),
    "decode": Entry(
        "decoding",
        "Give scenes back: IN.gsz -> OUT.ply, or OUT, a checkpoint folder.",
        (
            "gscodec decode scene.gsz",
            "gscodec decode scene.gsz scene.spz",
            "gscodec decode coded/*.gsz -o plys/",
        ),
    ),
    "inspect": Entry(
        "inspecting",
        "Show what is in a file and what each part of it costs; checks every checksum.",
        (
            "gscodec inspect scene.gsz",
            "gscodec inspect coded/*.gsz",
            "gscodec inspect scene.gsz --map bits.html",
        ),
    ),
    "verify": Entry(
        "verifying",
        "Check files as a decoder does: every checksum, and the digest of the decoded scene.",
        (
            "gscodec verify coded/*.gsz",
            "gscodec verify scene.gsz --source scene.ply",
        ),
    ),
    "cameras": Entry(
        "cameras",
        "Find views that show all of a scene: SCENE -> cameras.json.",
        ("gscodec cameras scene.ply -o cams.json --preview sheet.png",),
    ),
    "compare": Entry(
        "compare",
        "Compare two scenes: PSNR, SSIM and FLIP of renders, errors of attributes.",
        (
            "gscodec compare scene.ply scene.gsz",
            "gscodec compare scene.ply scene.gsz --views data/ --sheet diff.png",
        ),
    ),
    "view": Entry(
        "view",
        "Show a scene in the browser, until Ctrl-C; or write it as a page.",
        ("gscodec view scene.gsz", "gscodec view scene.gsz --html page.html"),
    ),
    "rd": Entry(
        "rd",
        "Measure a scene at several rates: bytes, PSNR and SSIM -> OUT.html.",
        ("gscodec rd scene.ply -o rd.html --png rd.png",),
    ),
    "man": Entry(
        "manual",
        "Print the manual page: gscodec man | man -l -.",
        ("gscodec man",),
    ),
}


def load(name: str) -> Command:
    """The command ``name``, with its options."""
    entry = COMMANDS[name]
    function = getattr(import_module(f"gscodec.cli.{entry.module}"), name)
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(name, cls=Command)(function)
    return cast("Command", typer.main.get_command(app))


class Commands(TyperGroup):
    """The group of all commands.

    Typer says "Aborted!" about an EOFError, which bad data raises too, and ends without a word
    where any pipe breaks; here they arrive.
    """

    def get_params(self, ctx: Any) -> Any:
        """Options."""
        return quickened(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses; answers habits from other programs before the command as after it."""
        check_habits(self, args[:1])
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        """Names."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        """The command ``cmd_name``, or None."""
        return load(cmd_name) if cmd_name in COMMANDS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Finds the command; tells what may have been meant where there is none.

        Raises:
            UsageError: There is none.
        """
        name = args[0]
        if name not in COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            near = get_close_matches(name, COMMANDS, 1)
            raise UsageError(of_command(name, near[0] if near else None))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """The table, none of them loaded."""
        with section(formatter, "Commands"):
            definitions(formatter, [(name, entry.about) for name, entry in COMMANDS.items()])

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Commands first: they are what somebody looks for."""
        self.format_commands(ctx, formatter)
        command_options(self, ctx, formatter)

    def invoke(self, ctx: Any) -> Any:
        """Runs the command; what typer would take for something else, as `UnexpectedError`."""
        try:
            return super().invoke(ctx)
        except (EOFError, OSError) as error:
            raise UnexpectedError(error) from error


class Command(TyperCommand):
    """A command that takes no empty texts: a script's unset variable names no file.

    Where its report is to be JSON, so is its error.
    """

    def get_params(self, ctx: Any) -> Any:
        """Arguments and options."""
        return quickened(super().get_params(ctx))

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ARG002
        """As people write it."""
        return usage(self)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Options in groups, and examples."""
        command_options(self, ctx, formatter)
        if examples := COMMANDS[self.name or ""].examples:
            with section(formatter, "Examples"):
                formatter.write("".join(f"  {line}\n" for line in examples))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses; answers habits from other programs with what they are called here."""
        given = tuple(args)  # of which the parser leaves nothing
        try:
            check_habits(self, args)
            return super().parse_args(ctx, args)
        except (typer.Abort, typer.Exit):
            raise
        except Exception as error:
            takes_json = any("--json" in parameter.opts for parameter in self.params)
            if takes_json and "--json" in given and not ctx.resilient_parsing:
                to = {"output": STDIO} if STDIO in given else {}
                _tell_program(self.name or "", to, error)
            raise

    def invoke(self, ctx: Any) -> Any:
        """Runs the command.

        Raises:
            UsageError: A text is empty.
        """
        try:
            self._check_texts(ctx.params)
            return super().invoke(ctx)
        except (typer.Abort, typer.Exit):
            raise
        except Exception as error:
            if ctx.params.get("as_json") and not getattr(error, "told", False):
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

    sources = given.get("sources") or [given.get("source")]
    output = given.get("output") or given.get("place")
    to_stderr = output == STDIO or (sources == [STDIO] and "output" in given and not output)
    source = sources[0] if len(sources) == 1 else None
    report(failed(command, failure_of(error), source, output), to_stderr=to_stderr)
