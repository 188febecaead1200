"""``gscodec verify``: whether files hold what was encoded, and of what source."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gscodec.cli.options import Json, Quiet, Threads
from gscodec.cli.session import Session, limit_threads
from gscodec.cli.several import each
from gscodec.disk.files import named, read_coded, read_input, told, write_stdout
from gscodec.errors import UsageError, VerifyError
from gscodec.report.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gscodec.container import Inspection


def verify(
    sources: Annotated[
        list[str], typer.Argument(metavar="FILE.gsz...", help="Coded scenes, - for stdin.")
    ],
    original: Annotated[
        str | None,
        typer.Option(
            "--source",
            metavar="PATH",
            help="Check too that the file was made from this scene, by its SHA-256; of several "
            "files, the folder that has their scenes.",
        ),
    ] = None,
    threads: Threads = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Check files as a decoder does: every checksum, and the digest of the decoded scene."""
    limit_threads(threads)
    if original is not None and len(sources) > 1 and not Path(original).is_dir():
        raise UsageError(
            f"--source: {printable(original)} is no folder; {len(sources)} files need one that "
            "has their scenes"
        )

    def look(source: str) -> None:
        with Session(quiet=quiet, stages=len(sources) == 1) as session:
            inspection = _checked(source, session, threads)
            if original is not None:
                session.progress("source")
                _check_source(source, inspection.meta, original)
        if as_json:
            _report(source, inspection, original)
        elif not quiet:
            line = _line(source, inspection, with_source=original is not None)
            write_stdout(f"{line}\n".encode("utf-8", "backslashreplace"))

    each("verify", sources, look, as_json=as_json)


def _checked(source: str, session: Session, threads: int | None) -> Inspection:
    """What is in a file that decodes to the scene that was encoded.

    Raises:
        InputError: It cannot be read.
        FormatError: It is damaged, or holds another scene than its digest says.
        UnsupportedError: It needs something that this version lacks.
    """
    from gscodec.cli.decoder import plan_of
    from gscodec.codec import decode, inspect

    session.estimate.name = Path(source).name
    session.progress("read")
    data = read_coded(source)
    with named(source):
        inspection = inspect(data)
        session.estimate.expect(plan_of(inspection.header)[:-1])
        decode(data, session.progress, threads)
    return inspection


def _check_source(source: str, meta: Mapping[str, object], original: str) -> None:
    """Whether the file remembers ``original``, or what in this folder has its source's name.

    Raises:
        InputError: It cannot be read.
        VerifyError: It is another, or the file remembers none.
    """
    recorded = meta.get("source")
    if not isinstance(recorded, dict) or not isinstance(recorded.get("sha256"), str):
        raise VerifyError(f"{printable(source)}: does not say what it was made from")
    place, files = Path(original), recorded.get("files")
    if not isinstance(files, list):
        if place.is_dir():
            place = _named_in(place, recorded.get("name"), source)
        parts = [place]
    else:
        inner = place / str(recorded.get("name", ""))
        root = inner if inner.is_dir() else place
        whole, flat = (
            [root / str(name) for name in files],
            [root / Path(str(name)).name for name in files],
        )
        parts = whole if all(path.exists() for path in whole) else flat
    digest = hashlib.sha256()
    for part in parts:
        digest.update(read_input(str(part)))
    if digest.hexdigest() != recorded["sha256"]:
        raise VerifyError(
            f"{printable(source)}: was made from another scene than {printable(str(place))}: "
            f"SHA-256 {digest.hexdigest()[:16]}..., expected {recorded['sha256'][:16]}..."
        )


def _named_in(folder: Path, name: object, source: str) -> Path:
    """The file of ``folder`` with this name, which a .gsz has as it is safe to print."""
    if not isinstance(name, str):
        raise UsageError(
            f"{printable(source)}: does not say the name of its source; name it, not its folder, "
            "with --source"
        )
    alike = (entry for entry in folder.iterdir() if printable(entry.name) == name)
    return next(alike, folder / name)


def _line(source: str, inspection: Inspection, *, with_source: bool) -> str:
    from gscodec.methods import name_of
    from gscodec.payload import SceneKind

    header = inspection.header
    noun = "Gaussians" if header.kind is SceneKind.GAUSSIANS else "anchors"
    name = printable(told(source))
    whose = ", made from its source" if with_source else ""
    return f"{name}: ok, {header.count:,} {noun}, method {name_of(header.method)}{whose}"


def _report(source: str, inspection: Inspection, original: str | None) -> None:
    from gscodec.cli.outcome import report

    header = inspection.to_json()["header"]
    told = {} if original is None else {"source": original}
    report({"status": "done", "command": "verify", "input": source, **told, "header": header})
