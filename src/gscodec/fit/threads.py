"""How torch uses the CPU while it trains."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def one_thread_an_operation() -> Iterator[None]:
    """Small operations gain nothing from two threads, and torch's would fight with numba's.

    On two cores, an iteration through the renderer took ten times as long with both pools.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
