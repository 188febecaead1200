"""``gscodec man``: what ``--help`` says, as a manual page."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from gscodec.cli.commands import COMMANDS, load
from gscodec.cli.manual import _text, page

if TYPE_CHECKING:
    from command import Cli


def test_every_command_option_and_text_is_in_it(cli: Cli) -> None:
    result = cli("man")
    assert (result.code, result.text) == (0, page())
    for name, entry in COMMANDS.items():
        assert f".SS {name}\n" in result.text
        for example in entry.examples:
            assert _text(example) in result.text
        for parameter in load(name).params:
            assert _text(parameter.help or "") in result.text  # type: ignore[attr-defined]
            for option in parameter.opts if parameter.param_type_name == "option" else ():
                assert _text(option) in result.text


def test_no_text_is_markup() -> None:
    assert _text(".spz or 'x' \\n - ") == "\\&.spz or 'x' \\en \\-"
    assert _text("'a'") == "\\&'a'"


def test_groff_takes_it() -> None:
    if shutil.which("groff") is None:
        pytest.skip("found no groff")
    ran = subprocess.run(
        ["groff", "-man", "-Tascii", "-ww"],
        input=page(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stderr == ""
    shown = re.sub(r"\x1b\[[0-9]*m|.\x08", "", ran.stdout)  # bold, as escape codes or twice
    assert "--quality low|medium|high|best" in shown
