"""Paths <-> bytes. ``-`` is stdin or stdout.

Invariant: a path given as output holds either what it held before or the complete result,
whatever happens in between.
"""

from __future__ import annotations

import os
import secrets
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gscodec.errors import (
    FormatError,
    GscodecError,
    InputError,
    OutputError,
    UnsupportedError,
    UsageError,
)
from gscodec.report.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

STDIO = "-"


def read_input(path: str) -> bytes:
    """All bytes of ``path``.

    Raises:
        InputError: It is missing, a folder, or may not be read.
    """
    try:
        if path == STDIO:
            return sys.stdin.buffer.read()
        return Path(path).read_bytes()
    except IsADirectoryError as error:
        raise InputError(f"{printable(path)}: is a folder, expected a file") from error
    except OSError as error:
        raise InputError(f"{printable(path)}: cannot be read: {reason(error)}") from error


@contextmanager
def named(source: str) -> Iterator[None]:
    """Errors about the bytes of a file say which file."""
    try:
        yield
    except (FormatError, UnsupportedError) as error:
        raise type(error)(f"{source}: {error}") from error


def output_path(source: str, output: str | None, old: str, new: str) -> str:
    """Where to write: ``output``, or beside ``source`` with suffix ``new`` instead of ``old``."""
    if output is not None or source == STDIO:
        return output or STDIO
    path = Path(source)
    stem = path.stem if path.suffix.lower() == old else path.name
    return str(path.with_name(stem + new))


def check_output(source: str, output: str, *, overwrite: bool) -> None:
    """Refuses an output that could not be written at the end of the work.

    Raises:
        UsageError: It is the input, or a terminal.
        OutputError: It exists and ``overwrite`` is not set, or its folder is not there.
    """
    if output == STDIO:
        if sys.stdout.isatty():
            raise UsageError("stdout is a terminal; redirect it, or name a file with -o")
        return
    try:
        problem = _problem(source, Path(output), overwrite=overwrite)
    except OSError as error:
        raise OutputError(f"{printable(output)}: cannot be written: {reason(error)}") from error
    if problem:
        raise problem


def _problem(source: str, target: Path, *, overwrite: bool) -> GscodecError | None:
    name = printable(str(target))
    if source != STDIO and target.exists() and _same(Path(source), target):
        return UsageError(f"{name}: is the input too; name another output with -o")
    if target.is_dir():
        return OutputError(f"{name}: is a folder, expected a file name")
    if target.is_file() and not overwrite:
        return OutputError(f"{name}: exists already; replace it with --overwrite")
    folder = Path(os.path.realpath(target)).parent
    if not folder.is_dir():
        return OutputError(f"{name}: there is no folder {printable(str(folder))}")
    if not os.access(folder, os.W_OK | os.X_OK):
        return OutputError(f"{name}: no permission to write into {printable(str(folder))}")
    return None


def _same(source: Path, target: Path) -> bool:
    return source.exists() and target.samefile(source)


def write_output(path: str, data: bytes) -> None:
    """Writes ``data``: at once and completely, or not at all.

    Raises:
        OutputError: The system refuses (disk full, no permission, reader gone).
    """
    if path == STDIO:
        write_stdout(data)
        return
    target = Path(os.path.realpath(path))
    try:
        if target.exists() and not target.is_file():
            target.write_bytes(data)  # a device or a pipe: there is nothing to replace
        else:
            _replace(target, data)
    except OSError as error:
        raise OutputError(f"{printable(path)}: cannot be written: {reason(error)}") from error


def write_stdout(data: bytes) -> None:
    """Writes ``data`` to stdout.

    Raises:
        OutputError: The reader is gone, or the disk behind a redirection is full.
    """
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except OSError as error:
        # Else the interpreter would try again at exit, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise OutputError(f"stdout: cannot be written: {reason(error)}") from error


def _replace(target: Path, data: bytes) -> None:
    temporary = target.with_name(f".gscodec-{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:  # signals too
        temporary.unlink(missing_ok=True)
        raise


def reason(error: OSError) -> str:
    """What the system says, in words that are safe on a terminal."""
    return printable(error.strerror or str(error))
