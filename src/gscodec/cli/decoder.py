"""What `gscodec decode` does to a file, once it is clear what is wanted.

Strategy: what is in the file decides what can be written, so the header is read before the
output is checked, and everything is checked before the work.
"""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gscodec.cli.fitting import fitted
from gscodec.cli.jobs import Job, Skipped
from gscodec.cli.outcome import Written, summary_of
from gscodec.cli.plans import decoding
from gscodec.disk.checkpoints import check_folder, write_folder
from gscodec.disk.files import (
    STDIO,
    Parts,
    check_output,
    is_replaced,
    named,
    read_coded,
    write_parts,
)
from gscodec.disk.originals import may_overwrite
from gscodec.disk.saving import check_suffix, foreign_suffixes, notes_on_checkpoint
from gscodec.disk.views import read_views
from gscodec.errors import UsageError
from gscodec.notes import Note
from gscodec.report.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from gscodec.anchors import AnchorScene
    from gscodec.bake.baking import Baked
    from gscodec.cli.estimate import Step
    from gscodec.cli.session import Session
    from gscodec.container import Inspection
    from gscodec.disk.views import Views
    from gscodec.payload import Header, SceneKind
    from gscodec.report.summary import Summary
    from gscodec.room import Room
    from gscodec.scene import GaussianScene


@dataclass(frozen=True)
class Decoding:
    """How files are decoded, checked as far as no file is needed for it.

    Attributes:
        bake: Turn anchors into Gaussians.
        views: Cameras to look through for that, or None.
        images: Folder of their photographs, or None.
        allow_outside: Whether links to these may lead out of their folder.
        force_views: Go on with views that do not fit.
        overwrite: Replace the output.
        skip_existing: Leave the output alone if it is there.
        replace_source: Replace even the original.
        threads: Of the CPU.
        max_memory: Bytes that may be used; None: most of the machine's.
    """

    bake: bool
    views: str | None
    images: str | None
    allow_outside: bool
    force_views: bool
    overwrite: bool
    skip_existing: bool
    replace_source: bool
    threads: int | None
    max_memory: int | None = None

    command = "decode"

    def place(self, job: Job) -> str:
        """Where the output goes, without the suffix that the file decides."""
        return job.target(job.source, ".gsz", "")

    def __call__(self, job: Job, session: Session) -> Summary:
        """Decodes a file.

        Raises:
            Skipped: The output is there, and is to be left alone.
            GscodecError: It cannot be done.
        """
        from gscodec.anchors import AnchorScene
        from gscodec.codec import decode_unchecked
        from gscodec.container import inspect
        from gscodec.disk.memory import cpus, room_for
        from gscodec.footprint import of_decoding
        from gscodec.payload import Attribute

        source = job.source
        if job.output == STDIO or (job.output is None and source == STDIO):
            check_output(source, STDIO, overwrite=False)  # before stdin is waited for
        session.estimate.name = Path(source).name
        session.progress("read")
        data = read_coded(source)
        with named(source):
            inspection = inspect(data)
        session.estimate.expect(plan_of(inspection.header))
        target, overwrite = self._target(job, inspection)
        parts = sum(r.chunks for r in inspection.rows if r.attribute is Attribute.POSITION)
        needed = of_decoding(inspection.header, self.threads or cpus(), max(1, parts))
        room = room_for(needed, target, self.max_memory)
        found: Views | None = None
        if self.views is not None:  # before the work, as far as that can be
            found = read_views(self.views, self.images, allow_outside=self.allow_outside)
        baked: Baked | None = None
        notes: tuple[str, ...] = ()
        with redirect_stdout(sys.stderr):
            with named(source):
                scene, check = decode_unchecked(data, session.progress, self.threads, room)
                beside = self.threads != 1 and _is_replaced_by_ply(scene, target)
                if not beside:
                    check()
            if self.bake and isinstance(scene, AnchorScene):
                baked, notes = self._baked(source, scene, found, session)
                scene = baked.scene
            result, more = _written(scene, target, inspection, room)
            if beside and isinstance(result, Parts):
                result = Parts(_checked(result, check, source))
        session.progress("write")
        if isinstance(result, Parts):
            write_parts(target, result, overwrite=overwrite)
        else:
            write_folder(target, result, overwrite=overwrite)
        return summary_of(
            self.command,
            Written.of(source, target, len(data), result, len(data)),
            inspection.header,
            session,
            (*notes, *more),
            None if baked is None else _report(baked),
            gaussians=None if baked is None else len(baked.scene),
        )

    def _target(self, job: Job, inspection: Inspection) -> tuple[str, bool]:
        """Where to write, and whether what is there is replaced; it can be written.

        Raises:
            Skipped: It is there, and is to be left alone.
            GscodecError: It cannot be written, or makes no sense.
        """
        target = _target(job, inspection.header.kind, bake=self.bake)
        if self.skip_existing and target != STDIO and Path(target).exists():
            raise Skipped(target)
        overwrite = may_overwrite(
            target,
            inspection.meta,
            overwrite=self.overwrite,
            replace_source=self.replace_source,
        )
        if _is_file(inspection.header.kind, bake=self.bake):
            job.make_folder()
            check_output(job.source, target, overwrite=overwrite)
        else:
            if job.of_many:
                job.make_folder()
            check_folder(target, overwrite=overwrite)
        return target, overwrite

    def _baked(
        self, source: str, scene: AnchorScene, views: Views | None, session: Session
    ) -> tuple[Baked, tuple[str, ...]]:
        """Gaussians that look like ``scene``, and notes."""
        from gscodec.bake.baking import bake
        from gscodec.comparison import require_finite

        if views is not None:
            views = fitted(views, scene, source, force=self.force_views)
            for note in views.notes:
                session.say(note)
        require_finite(scene, source)
        baked = bake(scene, views.cameras if views else (), progress=session.progress)
        notes = views.notes if views else ()
        if not baked.unseen:
            return baked, notes
        told = f"left out {baked.unseen} offsets that no camera sees"
        return baked, (*notes, Note(told, "unseen-left-out", offsets=baked.unseen))


def plan_of(header: Header) -> tuple[Step, ...]:
    """The steps of decoding such a file."""
    from gscodec.payload import Method, SceneKind

    anchors, raw = header.kind is SceneKind.ANCHORS, header.method is Method.RAW
    return decoding(header.count, anchors=anchors, raw=raw)


def _is_file(kind: SceneKind, *, bake: bool) -> bool:
    """Whether a file of ``kind`` gives a file, not a folder."""
    from gscodec.payload import SceneKind

    return bake or kind is SceneKind.GAUSSIANS


def _target(job: Job, kind: SceneKind, *, bake: bool) -> str:
    """Where to write what a file of ``kind`` gives.

    The default is never the name of a source that `encode` took by its own default.
    """
    from gscodec.payload import SceneKind

    name = printable(job.source)
    if kind is SceneKind.GAUSSIANS and bake:
        raise UsageError(f"{name}: holds Gaussians already; leave out --bake")
    if _is_file(kind, bake=bake):
        target = job.target(job.source, ".gsz", ".ply", ".decoded.ply")
        check_suffix(target)
        return target
    if job.output is not None and not job.of_many:
        target = job.output
    else:
        target = job.target(job.source, ".gsz", "", ".decoded")
    if target == STDIO or Path(target).suffix.lower() in {".ply", *foreign_suffixes()}:
        found = "stdout" if target == STDIO else printable(target)
        raise UsageError(
            f"{name}: holds a checkpoint, found {found} as output, expected a folder; name one "
            "with -o, or make a .ply of Gaussians with --bake"
        )
    return target


def _written(
    scene: GaussianScene | AnchorScene, target: str, inspection: Inspection, room: Room
) -> tuple[Parts | dict[str, bytes], tuple[str, ...]]:
    """The bytes of the output, of a folder by name, and notes."""
    from gscodec.anchors import AnchorScene
    from gscodec.checkpointio import write_checkpoint
    from gscodec.interchange import format_of, write_foreign

    if isinstance(scene, AnchorScene):
        return write_checkpoint(scene), notes_on_checkpoint(scene)
    if foreign := format_of(target):
        data, notes = write_foreign(scene, foreign)
        return Parts((data,)), (*notes, *_no_comments(inspection, foreign.suffix))
    return _ply(scene, inspection, room)


def _is_replaced_by_ply(scene: GaussianScene | AnchorScene, target: str) -> bool:
    """Whether ``target`` is going to be a .ply, of which nothing is seen until it is complete."""
    from gscodec.anchors import AnchorScene
    from gscodec.interchange import format_of

    return (
        not isinstance(scene, AnchorScene) and format_of(target) is None and is_replaced(target)
    )


def _checked(parts: Iterable[bytes], check: Callable[[], None], source: str) -> Iterator[bytes]:
    """``parts`` of what ``source`` decodes to, while ``check`` goes on, which may refuse it yet."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool, named(source):
        checked = pool.submit(check)
        yield from parts
        checked.result()


def _ply(
    scene: GaussianScene, inspection: Inspection, room: Room
) -> tuple[Parts, tuple[str, ...]]:
    """The .ply, with the comments of the source, and a note where not all can be written."""
    from gscodec.sceneio import ply_parts, renamed_extras
    from gscodec.sceneio.comments import remembered_comments

    told = remembered_comments(inspection.meta)
    data, notes = (
        Parts(ply_parts(scene, comments=told.comments, infos=told.infos, room=room)),
        renamed_extras(scene),
    )
    if inspection.meta_problem is not None:
        return data, (*notes, _damaged_comments(inspection.meta_problem))
    if not told.left_out:
        return data, notes
    count = told.left_out + len(told.comments) + len(told.infos)
    note = f"left out {told.left_out} of {count} comments: not ASCII, or too long for a header"
    return data, (*notes, Note(note, "comments-left-out", comments=told.left_out))


def _damaged_comments(problem: str) -> Note:
    return Note(f"left out all comments: meta is damaged, {problem}", "comments-left-out")


def _no_comments(inspection: Inspection, suffix: str) -> tuple[str, ...]:
    """A note where the source had comments."""
    from gscodec.sceneio.comments import remembered_comments

    if inspection.meta_problem is not None:
        return (_damaged_comments(inspection.meta_problem),)
    told = remembered_comments(inspection.meta)
    count = told.left_out + len(told.comments) + len(told.infos)
    note = f"left out {count} comments; {suffix} holds none"
    return (Note(note, "comments-left-out", comments=count),) if count else ()


def _report(baked: Baked) -> dict[str, object]:
    """JSON values."""
    return {"baked": {"psnr": baked.psnr, "views": baked.note, "unseen": baked.unseen}}
