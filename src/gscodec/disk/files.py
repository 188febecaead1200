"""Paths <-> bytes. ``-`` is stdin or stdout.

Invariant: a path given as output holds either what it held before or the complete result,
whatever happens in between; see `atomic`.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gscodec.disk.atomic import write_file
from gscodec.disk.signals import in_place, wait_for
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
    from collections.abc import Callable, Iterable, Iterator
    from typing import BinaryIO

STDIO = "-"
HEAD_BYTES = 1 << 20  # as much as the header of a .ply may take
_AT_ONCE = 1 << 26


def read_input(
    path: str, may_be: Callable[[bytes], bool] | None = None, *, most: int | None = None
) -> bytes:
    """All bytes of ``path``, or only the first where these tell that the rest is of no use.

    Args:
        path: A file, a device or a pipe; ``-`` is stdin.
        may_be: Whether what starts with these `HEAD_BYTES` is worth reading on.
        most: Bytes to take; default: half of the memory, with more there is nothing to be done.

    Raises:
        InputError: It is missing, a folder, too large, or may not be read.
    """
    name = printable(told(path))
    try:
        if path == STDIO:
            return _read(sys.stdin.buffer, name, may_be, most)
        with Path(path).open("rb") as file:
            return _read(file, name, may_be, most)
    except IsADirectoryError as error:
        raise InputError(f"{name}: is a folder, expected a file") from error
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {reason(error)}") from error


def read_coded(path: str) -> bytes:
    """As `read_input`, of a .gsz."""
    from gscodec.container.layout import MAGIC

    return read_input(path, lambda head: head.startswith(MAGIC))


def _read(
    file: BinaryIO, name: str, may_be: Callable[[bytes], bool] | None, most: int | None
) -> bytes:
    head = _exactly(file, HEAD_BYTES)
    if len(head) < HEAD_BYTES or (may_be is not None and not may_be(head)):
        return head
    most = memory_bytes() // 2 if most is None else most
    found = _size(file)
    if found:  # at once, and without a copy
        file.seek(-len(head), os.SEEK_CUR)
        parts = [file.read()] if found <= most else []
    else:
        parts, found = [head], len(head)
        while part := _exactly(file, min(_AT_ONCE, most + 1 - found)):
            parts.append(part)
            found += len(part)
    if found > most:
        raise InputError(
            f"{name}: found more than {most:,} bytes, expected what fits in memory"
        )
    return b"".join(parts)


def _exactly(file: BinaryIO, count: int) -> bytes:
    """The next ``count`` bytes, fewer at the end; signals are heard while a pipe is silent."""
    pipe = _pipe(file)
    if pipe is None or not isinstance(file, io.BufferedReader):
        return file.read(count)
    parts = []
    while count:
        wait_for(pipe)
        part = file.read1(count)
        if not part:
            break
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _pipe(file: BinaryIO) -> int | None:
    """The descriptor of what others write while it is read; None of a regular file."""
    with suppress(OSError):  # no file at all
        number = file.fileno()
        return None if stat.S_ISREG(os.fstat(number).st_mode) else number
    return None


def _size(file: BinaryIO) -> int:
    """Bytes of a regular file; 0 for what may have no end."""
    with suppress(OSError):  # no file at all
        status = os.fstat(file.fileno())
        return status.st_size if stat.S_ISREG(status.st_mode) else 0
    return 0


def size_of(path: str) -> int:
    """Bytes of a file, or of the .ply files of a folder; 0 of what nobody knows before reading."""
    place = Path(path)
    try:
        if place.is_dir():
            return sum(file.stat().st_size for file in place.rglob("*.ply"))
        return place.stat().st_size if place.is_file() else 0
    except OSError:
        return 0


def memory_bytes() -> int:
    """What this process may use at most; a guess where the system does not tell."""
    found = [1 << 36]
    with suppress(OSError, ValueError, AttributeError):
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    with suppress(OSError, ValueError):  # of a container; "max" is no number
        found.append(int(Path("/sys/fs/cgroup/memory.max").read_bytes()))
    return min(found)


@contextmanager
def named(source: str) -> Iterator[None]:
    """Errors about the bytes of a file say which file."""
    try:
        yield
    except (FormatError, UnsupportedError) as error:
        found = str(error).removeprefix("file: ")  # which one, is said
        raise type(error)(f"{told(source)}: {found}") from error


def told(path: str) -> str:
    """What errors call ``path``."""
    return "stdin" if path == STDIO else path


def output_path(source: str, output: str | None, old: str, new: str) -> str:
    """Where to write: ``output``, or beside ``source`` with suffix ``new`` instead of ``old``."""
    if output is not None or source == STDIO:
        return output or STDIO
    path = Path(source)
    if not path.name:
        raise UsageError(
            f"{printable(source)}: has no name to make another of; name one with -o"
        )
    named_so = bool(old) and path.name.lower().endswith(old) and len(path.name) > len(old)
    stem = path.name[: -len(old)] if named_so else path.name
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


def is_replaced(path: str) -> bool:
    """Whether nothing of an output is seen until all of it is there: not of a pipe."""
    return path != STDIO and (not Path(path).exists() or Path(path).is_file())


def write_output(path: str, data: bytes, *, overwrite: bool) -> None:
    """Writes ``data``: at once and completely, or not at all; raises as `write_parts`."""
    write_parts(path, (data,), overwrite=overwrite)


class Parts:
    """What is written one after the other.

    Attributes:
        bytes: Of those that were taken.
    """

    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts, self.bytes, self._sha256 = parts, 0, hashlib.sha256()

    def __iter__(self) -> Iterator[bytes]:
        from concurrent.futures import ThreadPoolExecutor

        # A part is hashed while it is written.
        with ThreadPoolExecutor(1) as pool:
            for part in self._parts:
                self.bytes += len(part)
                hashed = pool.submit(self._sha256.update, part)
                yield part
                hashed.result()

    @property
    def sha256(self) -> str:
        """Of those that were taken, hexadecimal."""
        return self._sha256.hexdigest()


def write_parts(path: str, parts: Iterable[bytes], *, overwrite: bool) -> None:
    """Writes ``parts`` one after the other: completely, or nothing at all.

    Raises:
        OutputError: It exists by now and ``overwrite`` is not set, or the system refuses (disk
            full, no permission, reader gone).
    """
    if path == STDIO:
        _write_stdout(parts)
        return
    target, name = Path(os.path.realpath(path)), printable(path)
    try:
        if target.exists() and not target.is_file():
            with target.open("wb") as device:  # or a pipe: there is nothing to replace
                device.writelines(parts)
            with in_place(name):
                pass
        else:
            write_file(target, parts, name, overwrite=overwrite)
    except FileExistsError as error:
        raise OutputError(
            f"{name}: has come to exist during this run; replace it with --overwrite"
        ) from error
    except OSError as error:
        raise OutputError(f"{name}: cannot be written: {reason(error)}") from error


def write_stdout(data: bytes) -> None:
    """Writes ``data`` to stdout; raises as `write_parts`."""
    _write_stdout((data,))


def _write_stdout(parts: Iterable[bytes]) -> None:
    """Writes ``parts`` to stdout, see `streams`.

    Raises:
        OutputError: The reader is gone, or the disk behind a redirection is full.
    """
    sys.stdout.flush()
    sys.stdout.buffer.writelines(parts)
    with in_place("stdout"):
        sys.stdout.buffer.flush()


def reason(error: OSError) -> str:
    """What the system says, in words that are safe on a terminal."""
    return printable(error.strerror or str(error))
