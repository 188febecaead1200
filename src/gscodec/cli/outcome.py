"""How a run of `encode` or `decode` ends: lines for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gscodec.cli.session import Session, peak_memory_bytes
from gscodec.disk.files import STDIO, write_stdout
from gscodec.methods import name_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gscodec.payload import Header


def json_bytes(value: object) -> bytes:
    """``value`` as JSON text that ends with a newline."""
    return (json.dumps(value, indent=2, allow_nan=False) + "\n").encode("ascii")


@dataclass(frozen=True)
class Sizes:
    """Bytes read, bytes written, and bytes of the .gsz, which is one of the two."""

    read: int
    written: int
    coded: int


@dataclass(frozen=True)
class Run:
    """What all reports on a run share."""

    command: str
    source: str
    target: str
    session: Session
    quiet: bool = field(kw_only=True)
    as_json: bool = field(kw_only=True)

    def finish(
        self,
        header: Header,
        sizes: Sizes,
        notes: tuple[str, ...] = (),
        report: Mapping[str, object] | None = None,
        *,
        gaussians: int | None = None,
    ) -> None:
        """Tells the user.

        Args:
            header: Of the .gsz.
            sizes: Of what was read and written.
            notes: What was changed.
            report: JSON values.
            gaussians: In the output, where the .gsz holds anchors and the output does not.
        """
        from gscodec.payload import SceneKind
        from gscodec.report.summary import Summary

        anchors = header.kind is SceneKind.ANCHORS
        summary = Summary(
            command=self.command,
            input=self.source,
            output=self.target,
            input_bytes=sizes.read,
            output_bytes=sizes.written,
            coded_bytes=sizes.coded,
            gaussians=gaussians if anchors else header.count,
            anchors=header.count if anchors else None,
            method=name_of(header.method),
            notes=notes,
            report=dict(report or {}),
            stages=self.session.stages,
            seconds=self.session.seconds,
            peak_memory_bytes=peak_memory_bytes(),
        )
        if not self.quiet:
            sys.stderr.writelines(f"{line}\n" for line in summary.lines())
        if self.as_json and self.target == STDIO:
            sys.stderr.write(json_bytes(summary.to_json()).decode())
        elif self.as_json:
            write_stdout(json_bytes(summary.to_json()))
