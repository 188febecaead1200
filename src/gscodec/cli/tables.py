"""Tables of rich -> stdout."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from gscodec.disk.files import write_stdout

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.table import Table

_PIPE_WIDTH = 110  # columns of tables that go to no terminal


def print_tables(tables: Iterable[Table]) -> None:
    """Prints ``tables`` with an empty line between them, without trailing blanks.

    Raises:
        OutputError: The reader is gone.
    """
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH)
    with console.capture() as capture:
        for table in tables:
            console.print(table)
            console.print()
    text = "".join(f"{line.rstrip()}\n" for line in capture.get().rstrip().splitlines())
    write_stdout(text.encode(sys.stdout.encoding, "backslashreplace"))
