"""A recipe for `gscodec.cli.crew` whose processes can be made to die."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gscodec.errors import SceneError
from gscodec.report.summary import Summary

if TYPE_CHECKING:
    from gscodec.cli.jobs import Job
    from gscodec.cli.session import Session


@dataclass(frozen=True)
class Recipe:
    """Does nothing, but for what the name of a source says."""

    command = "encode"

    def place(self, job: Job) -> str:
        return job.source + ".out"

    def __call__(self, job: Job, session: Session) -> Summary:
        session.progress("read")
        match job.source:
            case "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            case "exits":
                os._exit(9)
            case "fails":
                raise SceneError("fails: found nothing")
            case "bug":
                raise ZeroDivisionError
        return Summary(
            self.command, job.source, "x", 1, 1, None, 1, 1, None, "raw", (), {}, {}, 0.0, None
        )
