"""Ctrl-C and SIGTERM: they end the run at once, except in the middle of putting a file in place.

Rule to remember: whoever puts an output in place does it inside of `in_place`, so that a run
that is interrupted can say which outputs are complete. Loads nothing: it comes before all else.
"""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager, suppress

TYPE_CHECKING = False  # as in `typing`, which takes long to load
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_NUMBERS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(SystemExit):
    """A signal ended the run; the code is 128 and its number."""


class _State:
    """Of the run in this process."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.depth = 0  # of `in_place`
        self.waiting = 0  # the signal that came meanwhile
        self.outputs: list[str] = []
        self.advice = ""


_state = _State()


def catch() -> None:
    """From here on signals raise `Interrupted`, where they are not ignored as under nohup."""
    _state.reset()
    for number in _NUMBERS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)


def let_go(*, ignored: bool) -> None:
    """The exit code is decided: signals are ``ignored``, or end the process the hard way."""
    for number in _NUMBERS:
        if signal.getsignal(number) is _stop:
            signal.signal(number, signal.SIG_IGN if ignored else signal.SIG_DFL)


@contextmanager
def in_place(name: str) -> Iterator[None]:
    """Around the instant in which output ``name`` becomes complete: signals come before or after."""
    _state.depth += 1
    try:
        yield
        _state.outputs.append(name)
    finally:
        _state.depth -= 1
        if _state.waiting and not _state.depth:
            _raise(_state.waiting)


def wait_for(readable: int) -> None:
    """Waits until descriptor ``readable`` has bytes or has ended, or a signal comes.

    A read alone misses a signal that comes just before it, or that the system hands to another
    thread, and then blocks on; what Python's handler writes into a pipe cannot be missed.
    """
    import select
    import sys

    if sys.platform == "win32":  # selects sockets only
        return
    ours, theirs = os.pipe()
    try:
        os.set_blocking(theirs, False)
        with suppress(ValueError):  # not the main thread: signals are not for it
            before = signal.set_wakeup_fd(theirs, warn_on_full_buffer=False)
            try:
                select.select([readable, ours], [], [])
            finally:
                signal.set_wakeup_fd(before)
    finally:
        os.close(ours)
        os.close(theirs)


def advise(text: str) -> None:
    """What whoever interrupts the run from here on is told to do next."""
    _state.advice = text


def told() -> str:
    """Which outputs are in place, and what to do next; or nothing."""
    names = ", ".join(dict.fromkeys(_state.outputs))
    return "; ".join(part for part in (names and f"complete: {names}", _state.advice) if part)


def removed(name: str) -> None:
    """Output ``name`` is there no longer."""
    _state.outputs = [output for output in _state.outputs if output != name]


def _stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    if _state.depth:
        _state.waiting = number
    else:
        _raise(number)


def _raise(number: int) -> None:
    _state.waiting = 0
    raise Interrupted(128 + number)
