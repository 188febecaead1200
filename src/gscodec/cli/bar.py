"""One bar for a whole run, for terminals: it moves with the clock, and is gone in the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn
from rich.progress_bar import ProgressBar
from rich.table import Column
from rich.text import Text

from gscodec.report.text import printable

if TYPE_CHECKING:
    from rich.progress import Task

    from gscodec.cli.estimate import Reckoning

_WIDE = 100  # columns of a terminal from which on the bar is longer
_SHORT, _LONG = 16, 40
_TENTHS = 120.0  # seconds from which on a hundredth of the run takes too long to wait for


def bar_of(reckoning: Reckoning) -> Bar | None:
    """A bar that shows ``reckoning``; None where the terminal cannot."""
    console = Console(stderr=True)
    return None if console.is_dumb_terminal else Bar(console, reckoning)


class Bar:
    """A `View` that asks how far the run is whenever it draws."""

    def __init__(self, console: Console, reckoning: Reckoning) -> None:
        width = _LONG if console.width >= _WIDE else _SHORT
        columns = (
            SpinnerColumn(),
            _Told(reckoning),
            _Moving(reckoning, width),
            _Share(reckoning),
            _Clock(reckoning),
        )
        self._progress = Progress(*columns, console=console, transient=True, expand=True)
        self._progress.add_task("", total=1.0)
        self._progress.start()

    def show(self, stage: str, share: float, detail: str) -> None:
        """Does nothing: the next picture shows it."""

    def say(self, line: str) -> None:
        """Prints ``line`` above the bar."""
        self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Removes the bar and shows the cursor again."""
        self._progress.stop()


class _Told(ProgressColumn):
    def __init__(self, reckoning: Reckoning) -> None:
        super().__init__(Column(ratio=1, no_wrap=True, overflow="ellipsis"))
        self._reckoning = reckoning

    def render(self, task: Task) -> Text:  # noqa: ARG002
        told = f"{self._reckoning.name} {self._reckoning.told()}".strip()
        return Text(printable(told), no_wrap=True, overflow="ellipsis")


class _Moving(BarColumn):
    def __init__(self, reckoning: Reckoning, width: int) -> None:
        super().__init__(width)
        self._reckoning = reckoning

    def render(self, task: Task) -> ProgressBar:
        share = self._reckoning.share()
        return ProgressBar(
            total=1.0,
            completed=share or 0.0,
            width=self.bar_width,
            pulse=share is None,
            animation_time=task.get_time(),
        )


class _Share(ProgressColumn):
    def __init__(self, reckoning: Reckoning) -> None:
        super().__init__(Column(justify="right", no_wrap=True))
        self._reckoning = reckoning

    def render(self, task: Task) -> Text:
        share, left = self._reckoning.share(), self._reckoning.left()
        if share is None:
            return Text("")
        long = left is not None and (task.elapsed or 0.0) + left > _TENTHS
        return Text(f"{100 * share:.{1 if long else 0}f} %")


class _Clock(ProgressColumn):
    def __init__(self, reckoning: Reckoning) -> None:
        super().__init__(Column(justify="right", no_wrap=True))
        self._reckoning = reckoning

    def render(self, task: Task) -> Text:
        left = self._reckoning.left()
        passed = _minutes(task.elapsed or 0.0)
        return Text(passed if left is None else f"{passed}, {_minutes(left)} left")


def _minutes(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
