"""Many scenes in one run: it goes on after errors, and ends with the code of the worst.

A single scene is told in full; of many, each is a line, and what happened to all of them is told
in the end. Programs get one line of JSON for each scene, in the order in which they end.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import typer

from gscodec.cli.failures import Failure, worst
from gscodec.cli.jobs import Job, Skipped, check_apart
from gscodec.cli.outcome import done, failed, report, tell
from gscodec.cli.scenes_left import Scenes, weight_of
from gscodec.cli.session import Session, view_of
from gscodec.disk.signals import advise
from gscodec.notes import note_of
from gscodec.report.text import printable, size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gscodec.cli.crew import Left, Recipe
    from gscodec.report.summary import Summary


@dataclass(frozen=True)
class Manner:
    """How a run is told, and how many scenes are at work at once."""

    quiet: bool = False
    verbose: bool = False
    as_json: bool = False
    at_once: int = 1


def run(recipe: Recipe, jobs: Sequence[Job], manner: Manner) -> None:
    """Does ``jobs``.

    Raises:
        GscodecError: The only one failed, or they do not go together.
        Exit: Some of many failed.
    """
    if len(jobs) > 1:
        _many(recipe, jobs, manner)
        return
    with Session(quiet=manner.quiet) as session:
        try:
            summary = recipe(jobs[0], session)
        except Skipped as skipped:
            session.say(f"{printable(str(skipped))}: exists already, skipped")
            if manner.as_json:
                report(_skipped(recipe, jobs[0], str(skipped)))
            return
    tell(summary, quiet=manner.quiet, verbose=manner.verbose, as_json=manner.as_json)


def threads_each(threads: int | None, at_once: int, scenes: int) -> int | None:
    """Threads of one scene where several are at work: together they have all processors."""
    if threads is not None or min(at_once, scenes) < 2:
        return threads
    return max(1, (os.cpu_count() or 1) // min(at_once, scenes))


def _many(recipe: Recipe, jobs: Sequence[Job], manner: Manner) -> None:
    from gscodec.cli.crew import Said, Stage, crew

    check_apart(jobs, recipe.place)
    jobs[0].make_folder()
    account = _Account(recipe, jobs, manner)
    advise(account.advice())
    reckoning = Scenes([weight_of(job.source) for job in jobs], [job.source for job in jobs])
    view = view_of(reckoning, quiet=manner.quiet, stages=False)
    working = crew(recipe, jobs, manner.at_once)
    with closing(working), Session(view) as session:
        for number, told in working:
            match told:
                case Stage(name, share, left):
                    reckoning.hear(number, name, share, left)
                case Said(line):
                    view.say(line)
                case _:
                    reckoning.finish(number)
                    account.add(number, told, session)
                    advise(account.advice())
    if not manner.quiet:
        sys.stderr.writelines(f"{line}\n" for line in account.lines(session.seconds))
    if account.code:
        raise typer.Exit(account.code)


def _skipped(recipe: Recipe, job: Job, name: str) -> dict[str, object]:
    return {
        "status": "skipped",
        "command": recipe.command,
        "input": job.source,
        "output": name,
    }


@dataclass
class _Account:
    """What came of each scene so far."""

    recipe: Recipe
    jobs: Sequence[Job]
    manner: Manner
    summaries: list[Summary] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    skipped: int = 0

    def __len__(self) -> int:
        return len(self.summaries) + len(self.failures) + self.skipped

    @property
    def code(self) -> int:
        """Exit code of the worst."""
        return worst([failure.code for failure in self.failures])

    def add(self, number: int, told: Summary | Failure | Left, session: Session) -> None:
        """Tells of a scene that is finished."""
        from gscodec.cli.crew import Left

        job, command = self.jobs[number], self.recipe.command
        match told:
            case Failure():
                self.failures.append(told)
                value = failed(command, told, job.source, self.recipe.place(job))
                sys.stderr.write(f"gscodec: error: {told.about(printable(job.source))}\n")
            case Left(name):
                self.skipped += 1
                value = _skipped(self.recipe, job, name)
            case _:
                self.summaries.append(told)
                value = done(told)
                session.say(f"{len(self)}/{len(self.jobs)} {told.line()}")
                for line in told.details() if self.manner.verbose else ():
                    session.say(line.lstrip())
        if self.manner.as_json:
            report(value)

    def advice(self) -> str:
        """What to do after an interruption."""
        finished = len(self.summaries) + self.skipped
        told = f"{finished} of {len(self.jobs)} scenes are done"
        return f"{told}; go on with the same command and --skip-existing"

    def lines(self, seconds: float) -> Iterator[str]:
        """What happened to all of them."""
        counts = {
            "done": len(self.summaries),
            "failed": len(self.failures),
            "skipped": self.skipped,
        }
        shown = ", ".join(f"{n} {words}" for words, n in counts.items() if n)
        yield f"{len(self.jobs)} scenes: {shown}"
        if self.summaries:
            read = sum(summary.input_bytes for summary in self.summaries)
            written = sum(summary.output_bytes for summary in self.summaries)
            small, large = sorted((read, written))
            yield f"  size      {size(read)} -> {size(written)} ({large / small:.1f} : 1)"
        yield from self._notes()
        yield f"  time      {seconds:.1f} s"

    def _notes(self) -> Iterator[str]:
        """Each kind once, with an example."""
        scenes: Counter[tuple[bool, str]] = Counter()
        example: dict[tuple[bool, str], str] = {}
        for summary in self.summaries:
            for note in {n.code: n for n in map(note_of, summary.notes)}.values():
                key = (not note.changed, note.code)
                scenes[key] += 1
                example.setdefault(key, note)
        for key in sorted(scenes):
            head = "note" if key[0] else "changed"
            count = scenes[key]
            of = "all" if count == len(self.summaries) else f"{count}"
            yield f"  {head:<9} in {of} scenes, such as: {printable(example[key])}"
