"""Paths on the command line -> one job for each scene, and where its output goes."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gscodec.disk.files import STDIO, output_path
from gscodec.errors import OutputError, UsageError
from gscodec.report.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_FILES = (".gsz", ".ply", ".spz", ".splat", ".ksplat", ".sog")  # suffixes of files of scenes


class Skipped(Exception):  # noqa: N818
    """An output is there already, and the user wants it left alone; carries its name."""


@dataclass(frozen=True)
class Job:
    """One scene to work on.

    Attributes:
        source: What to read.
        output: What to write, or the folder to write into; None: beside the source.
        of_many: Whether there are others; then ``output`` is a folder.
    """

    source: str
    output: str | None = None
    of_many: bool = False

    def target(self, named: str, old: str, new: str, beside: str | None = None) -> str:
        """Where to write: ``output``, or what the source's name makes.

        Args:
            named: The source, by a path that ends in its name.
            old: Suffix of this name to be replaced.
            new: Suffix in place of it.
            beside: Suffix in place of it beside the source; default: ``new``.
        """
        if self.output is None or not self._into_folder:
            return output_path(named, self.output, old, beside or new)
        if named == STDIO:
            raise UsageError(
                f"{printable(self.output)}: is a folder, and stdin has no name; name a file"
            )
        path = Path(named)
        return str(Path(self.output) / Path(output_path(path.name, None, old, new)).name)

    @property
    def _into_folder(self) -> bool:
        if self.output is None or (self.of_many or not names_folder(self.output)):
            return self.output is not None and self.of_many
        return os.path.realpath(self.output) != os.path.realpath(self.source)

    @property
    def makes_folder(self) -> bool:
        """Whether the output goes into a folder that is not there."""
        return self._into_folder and not Path(self.output or "").exists()

    def make_folder(self) -> None:
        """Makes the folder that the output goes into, if the user named one that is not there.

        Raises:
            OutputError: It is a file, or cannot be made.
        """
        if self.output is None or not self._into_folder:
            return
        name = printable(self.output)
        try:
            Path(self.output).mkdir(exist_ok=True)
        except FileExistsError as error:
            raise OutputError(f"{name}: is a file, expected a folder to write into") from error
        except OSError as error:
            raise OutputError(f"{name}: cannot be made: {error.strerror}") from error


def only_job(source: str, output: str | None, place: str | None) -> Job:
    """The job of one scene; what to write is named with -o (``output``) or after it (``place``).

    Raises:
        UsageError: Both ways.
    """
    if output is not None and place is not None:
        raise UsageError(
            f"{printable(place)}: found -o {printable(output)} too; name the output once"
        )
    return Job(source, place if output is None else output)


def names_folder(output: str) -> bool:
    """Whether ``output`` is a folder, or is written as one."""
    if output == STDIO:
        return False
    with suppress(OSError):  # a name that is too long
        return output.endswith(("/", os.sep)) or Path(output).is_dir()
    return False


def is_new_folder(output: str) -> bool:
    """Whether ``output`` is written as a folder, and is not there."""
    return names_folder(output) and not Path(output).exists()


def jobs_of(
    paths: Sequence[str], output: str | None, is_output: Callable[[str], bool]
) -> list[Job]:
    """One job for each of ``paths``; the last of several may be what to write, or where.

    Args:
        paths: As given.
        output: As given with -o.
        is_output: Whether a path can only be meant as an output.

    Raises:
        UsageError: Several scenes are to go to stdout or come from stdin, or one is there twice;
            or the last of two paths is neither a scene nor an output.
        OutputError: Several scenes are to go into a file.
    """
    if output is None and len(paths) > 1 and is_output(paths[-1]):
        *paths, output = paths
    elif output is None and len(paths) == 2 and not _is_there(paths[1]):
        raise UsageError(
            f"{printable(paths[1])}: is no file to be read, and has no name of an output; if it is "
            "one, name it with -o"
        )
    if len(paths) == 1:
        return [Job(paths[0], output)]
    if STDIO in (*paths, output):
        raise UsageError(f"{len(paths)} scenes: found -, expected files, and -o DIR/")
    if output is not None and _is_file(output):
        raise OutputError(
            f"{printable(output)}: is a file, expected a folder to write {len(paths)} scenes into: "
            "-o DIR/"
        )
    return [Job(path, output, of_many=True) for path in paths]


def _is_file(output: str) -> bool:
    """Whether ``output`` is one, or is written as one."""
    place = Path(output)
    if place.exists():
        return not place.is_dir()
    return not names_folder(output) and place.suffix.lower() in _FILES


def _is_there(path: str) -> bool:
    with suppress(OSError):  # a name that is too long
        return path == STDIO or Path(path).exists()
    return False


def check_apart(jobs: Sequence[Job], target: Callable[[Job], str]) -> None:
    """Refuses jobs that would write the same file, or what another one reads.

    Raises:
        UsageError: Naming two of them.
    """
    sources = {os.path.realpath(job.source): job for job in reversed(jobs)}
    taken: dict[str, Job] = {}
    for job in jobs:
        name = target(job)
        real = os.path.realpath(name)
        other = taken.setdefault(real, job)
        pair = f"{printable(other.source)} and {printable(job.source)}"
        if other is not job and other.source == job.source:
            raise UsageError(f"{printable(job.source)}: is given twice")
        if other is not job:
            raise UsageError(
                f"{pair}: both would be written to {printable(name)}; encode them in two runs, "
                "name the folders that they are in, or leave out -o"
            )
        reader = sources.get(real)
        if reader is not None and reader is not job:
            raise UsageError(
                f"{printable(name)}: would be written, and is one of the scenes to read"
            )
