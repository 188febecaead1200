"""The command line: the only place with paths, printing and exit codes."""

from gscodec.cli.start import main

__all__ = ["main"]
