"""How tests talk about runs of the command line; the fixture ``cli`` makes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias


class Result(NamedTuple):
    """How a run ended."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        """Stdout of a run that prints text."""
        return self.out.decode()


Cli: TypeAlias = Callable[..., Result]
