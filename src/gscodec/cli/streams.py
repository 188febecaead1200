"""Standard input, output and error that the rest may rely on, whatever the shell handed over.

Invariant: what is written to `sys.stdout` is written to the last byte, or `OutputError` is
raised; what is written to `sys.stderr`, which is for people, never raises anything. Both hold
for whoever writes: this package, typer, rich, or a library that prints.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import contextmanager

TYPE_CHECKING = False  # as in `typing`, which takes long to load
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, TextIO

    from _typeshed import ReadableBuffer as Buffer

_AT_ONCE = 1 << 30  # bytes; systems take less than 2 GiB
# What a closed descriptor is opened with, so that no file of the work takes its place: as in
# gnulib's stdopen, the wrong way round, so that using it fails. Nobody waits for stderr.
_CLOSED = (os.O_WRONLY, os.O_RDONLY, os.O_WRONLY)


@contextmanager
def sane_streams() -> Iterator[None]:
    """`sys.stdin`, `sys.stdout` and `sys.stderr` keep what this module promises."""
    before = sys.stdin, sys.stdout, sys.stderr
    for number, stream in enumerate(before):
        if stream is None:
            _occupy(number)
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = _text(before[1], 1, _Complete)
    sys.stderr = _text(before[2], 2, _Forgiving)
    try:
        yield
    finally:
        sys.stdin, sys.stdout, sys.stderr = before


def _occupy(number: int) -> None:
    try:
        os.fstat(number)
    except OSError:
        found = os.open(os.devnull, _CLOSED[number])
        if found != number:
            os.dup2(found, number)
            os.close(found)


def _text(stream: TextIO | None, number: int, kind: type[_Output]) -> TextIO:
    """``stream`` as text on top of ``kind``, without a buffer: there is nothing to lose."""
    if stream is None:
        raw: Any = io.FileIO(number, "w", closefd=False)
    elif hasattr(stream, "buffer"):
        stream.flush()
        raw = getattr(stream.buffer, "raw", stream.buffer)
    else:
        return stream
    encoding = "utf-8" if stream is None else stream.encoding
    return io.TextIOWrapper(kind(raw), encoding, "backslashreplace", write_through=True)


class _Output(io.BufferedIOBase):
    """The stream of bytes ``raw``; closing it leaves ``raw`` open."""

    def __init__(self, raw: io.FileIO) -> None:
        self._raw = raw

    @property
    def name(self) -> str:
        return str(getattr(self._raw, "name", ""))

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._raw.isatty()

    def fileno(self) -> int:
        return self._raw.fileno()

    def _write_all(self, data: Buffer) -> int:
        """Raises OSError where the system takes no more."""
        left = memoryview(data).cast("B")
        size = len(left)
        while left:
            count = self._raw.write(left[:_AT_ONCE])
            if count is None:  # does not block, and is full
                _wait(self._raw)
            elif count == 0:
                raise OSError("the system takes no more bytes")
            left = left[count or 0 :]
        return size


def _wait(raw: io.FileIO) -> None:
    import select

    select.select([], [raw], [])


class _Complete(_Output):
    """Stdout: every byte, or an error."""

    def write(self, data: Buffer, /) -> int:
        from gscodec.errors import OutputError

        try:
            return self._write_all(data)
        except OSError as error:
            raise OutputError(
                f"stdout: cannot be written: {error.strerror or error}"
            ) from error


class _Forgiving(_Output):
    """Stderr: what nobody can read is lost."""

    def write(self, data: Buffer, /) -> int:
        try:
            return self._write_all(data)
        except OSError:
            return memoryview(data).nbytes
