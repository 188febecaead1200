"""How a run of `encode` or `decode` ends: lines for people, JSON for programs."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

from gscodec._version import __version__
from gscodec.cli.session import peak_memory_bytes
from gscodec.disk.files import STDIO, Parts, write_stdout

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gscodec.cli.failures import Failure
    from gscodec.cli.session import Session
    from gscodec.payload import Header
    from gscodec.report.summary import Summary

SCHEMA = 1  # of JSON reports: keys are added, and mean what they meant, while it stays


def json_bytes(value: Mapping[str, object]) -> bytes:
    """A report as one line of JSON that ends with a newline."""
    told = {"schema": SCHEMA, "tool": f"gscodec {__version__}", **value}
    return (json.dumps(told, allow_nan=False) + "\n").encode("ascii")


def done(summary: Summary) -> dict[str, object]:
    """The report on a scene."""
    return {"status": "done", **summary.to_json()}


def failed(
    command: str, failure: Failure, source: object = None, output: object = None
) -> dict[str, object]:
    """The report on what was not done."""
    names = {"input": source, "output": output}
    given = {name: value for name, value in names.items() if value is not None}
    return {"status": "failed", "command": command, **given, "error": failure.to_json()}


@dataclass(frozen=True)
class Written:
    """What was read and written.

    Attributes:
        source: Name of what was read.
        target: Name of what was written.
        read: Bytes read.
        written: Bytes written.
        coded: Bytes of the .gsz, which is one of the two.
        sha256: Of the file written, hexadecimal; None of a folder.
    """

    source: str
    target: str
    read: int
    written: int
    coded: int
    sha256: str | None

    @classmethod
    def of(
        cls,
        source: str,
        target: str,
        read: int,
        result: bytes | Parts | dict[str, bytes],
        coded: int,
    ) -> Written:
        """With ``result`` as what was written."""
        if isinstance(result, bytes):
            digest = hashlib.sha256(result).hexdigest()
            return cls(source, target, read, len(result), coded, digest)
        if isinstance(result, Parts):
            return cls(source, target, read, result.bytes, coded, result.sha256)
        return cls(source, target, read, sum(map(len, result.values())), coded, None)


def summary_of(
    command: str,
    written: Written,
    header: Header,
    session: Session,
    notes: tuple[str, ...] = (),
    report: Mapping[str, object] | None = None,
    *,
    gaussians: int | None = None,
) -> Summary:
    """The account of a run.

    Args:
        command: Its name.
        written: What was read and written.
        header: Of the .gsz.
        session: Which ends now.
        notes: What was changed, or is worth knowing.
        report: JSON values.
        gaussians: In the output, where the .gsz holds anchors and the output does not.
    """
    from gscodec.methods import name_of
    from gscodec.payload import SceneKind
    from gscodec.report.summary import Summary

    anchors = header.kind is SceneKind.ANCHORS
    return Summary(
        command=command,
        input=written.source,
        output=written.target,
        input_bytes=written.read,
        output_bytes=written.written,
        output_sha256=written.sha256,
        coded_bytes=written.coded,
        gaussians=gaussians if anchors else header.count,
        anchors=header.count if anchors else None,
        method=name_of(header.method),
        notes=notes,
        report=dict(report or {}),
        stages=session.counted(),
        seconds=session.seconds,
        peak_memory_bytes=peak_memory_bytes(),
    )


def tell(summary: Summary, *, quiet: bool, verbose: bool, as_json: bool) -> None:
    """Tells the user of one scene, on stdout if that is not where it went."""
    if not quiet:
        sys.stderr.writelines(f"{line}\n" for line in summary.lines())
    if verbose and not quiet:
        sys.stderr.writelines(f"{line}\n" for line in (*summary.details(), _versions()))
    if as_json:
        report(done(summary), to_stderr=summary.output == STDIO)


def _versions() -> str:
    """Of what was at work."""
    loaded = [
        name for name in ("numpy", "constriction", "numba", "torch") if name in sys.modules
    ]
    found = ", ".join(f"{name} {version(name)}" for name in loaded)
    python = ".".join(map(str, sys.version_info[:3]))
    return f"  versions  gscodec {__version__}, Python {python}, {found}"


def report(value: Mapping[str, object], *, to_stderr: bool = False) -> None:
    """Writes a report for programs."""
    if to_stderr:
        sys.stderr.write(json_bytes(value).decode())
    else:
        write_stdout(json_bytes(value))
