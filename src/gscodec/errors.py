"""Everything that can go wrong, by whose fault it is.

Each class carries the exit code that the command line uses for it, so a script can tell
a bad scene from a damaged file without reading the message. Messages are one line: where,
what was found, what was expected, and what to do when there is something to do.
"""

from __future__ import annotations


class GscodecError(Exception):
    """Base of every error that gscodec raises on purpose."""

    exit_code = 1
    told = False  # whether a report of the command line has it already


class GscodecWarning(UserWarning):
    """Something is not as it should be; the work goes on and its result is the same."""


class UsageError(GscodecError):
    """The caller asked for something that makes no sense (bad option, bad combination)."""

    exit_code = 2


class SceneError(GscodecError):
    """The input scene is damaged, of the wrong kind, or holds values that cannot be coded."""

    exit_code = 3


class CannotCodeError(SceneError):
    """A method cannot represent this scene, for the reason given; method `raw` always can."""


class FormatError(GscodecError):
    """The bytes are not a valid .gsz file: truncated, altered, inconsistent."""

    exit_code = 4


class UnsupportedError(GscodecError):
    """The file is well formed but needs a feature or a version that this reader lacks."""

    exit_code = 5


class InputError(GscodecError):
    """The input cannot be read: it is missing, a folder, or not ours to read."""

    exit_code = 6


class OutputError(GscodecError):
    """The result cannot be written: it exists already, the disk is full, no permission."""

    exit_code = 6


class OutOfMemoryError(GscodecError):
    """There is less memory than the work takes, as far as that is known before."""

    exit_code = 8


class VerifyError(GscodecError):
    """The encoder decoded its own output and got something else. Always a bug or bad memory."""

    exit_code = 7
