"""What `gscodec encode` does to a scene, once it is clear what is wanted."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from gscodec import methods
from gscodec.cli.effort import StateFile, target_views
from gscodec.cli.fitting import fitted
from gscodec.cli.forecast import Forecast, forecast
from gscodec.cli.jobs import Job, Skipped
from gscodec.cli.outcome import Written, summary_of
from gscodec.cli.plans import counted, encoding
from gscodec.disk.files import STDIO, check_output, size_of, write_output
from gscodec.disk.scenes import (
    Reading,
    binary_gaussians,
    check_coded_name,
    check_source,
    checked_scaling,
    holds_anchors,
    is_folder,
    load_source,
    named_folder,
    suffix_of,
)
from gscodec.disk.views import read_views
from gscodec.errors import OutputError, SceneError, UsageError
from gscodec.notes import Note
from gscodec.report.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gscodec.anchors import Scene
    from gscodec.cli.estimate import Step
    from gscodec.cli.session import Session
    from gscodec.disk.scenes import LoadedScene
    from gscodec.report.summary import Summary
    from gscodec.room import Room
    from gscodec.tiling import Tiling

_COMMENTS = ("comments", "obj_info")


@dataclass(frozen=True)
class Encoding:
    """How scenes are encoded, checked as far as no scene is needed for it.

    Attributes:
        method: Name.
        options: Fields of the method's ``Options`` that were given.
        reading: How to read a scene; what its scalings are, is in ``scaling``.
        scaling: As given.
        views: Cameras to look through, or None.
        images: Folder of their photographs, or None.
        force_views: Go on with views that do not fit.
        min_psnr: The least that is good enough, dB, or None.
        verify: Decode and compare, render and measure.
        resume: Go on with an interrupted effort high.
        overwrite: Replace the output.
        skip_existing: Leave the output alone if it is there.
        strip: Keep neither the source's name nor its comments.
        max_memory: Bytes that may be used; None: most of the machine's.
        tiling: How scenes are cut, and who codes them; None: not at all.
    """

    method: str
    options: Mapping[str, Any]
    reading: Reading
    scaling: str | None
    views: str | None
    images: str | None
    force_views: bool
    min_psnr: float | None
    verify: bool
    resume: bool
    overwrite: bool
    skip_existing: bool
    strip: bool
    max_memory: int | None = None
    tiling: Tiling | None = None

    command = "encode"

    def place(self, job: Job) -> str:
        """Where the .gsz goes."""
        source = job.source
        named = named_folder(source) if is_folder(source) else source
        return job.target(named, suffix_of(source), ".gsz")

    def forecast(self, job: Job) -> Forecast:
        """What ``job`` would take, about.

        Raises:
            Skipped: The output is there, and is to be left alone.
            GscodecError: It would be refused.
        """
        self.check(job, dry=True)
        check_source(job.source)
        return forecast(self.method, self.options, job.source, verify=self.verify)

    def check(self, job: Job, *, dry: bool = False) -> Reading:
        """How to read the source, once it is clear that the output can be written.

        Makes the folder for it, if it is not ``dry``.

        Raises:
            Skipped: It is there, and is to be left alone.
            GscodecError: It cannot; or options do not go with the source.
        """
        target = self.place(job)
        if self.skip_existing and target != STDIO and Path(target).exists():
            raise Skipped(target)
        anchors = holds_anchors(job.source)
        if anchors:
            _check_checkpoint(job.source)
        scaling = checked_scaling(self.scaling, anchors=anchors)
        if anchors and self.reading.drop_invalid:
            raise UsageError("--drop-invalid: a checkpoint with NaN or infinity is refused")
        if not dry:
            job.make_folder()
        if not (dry and job.makes_folder):
            check_output(job.source, target, overwrite=self.overwrite)
        check_coded_name(target)
        return replace(self.reading, scaling=scaling)

    def __call__(self, job: Job, session: Session) -> Summary:
        """Encodes a scene.

        Raises:
            Skipped: The output is there, and is to be left alone.
            GscodecError: It cannot be done.
        """
        from gscodec.codec import encode_with_report
        from gscodec.container import inspect
        from gscodec.disk.kept import KeptTiles

        reading, target, given = self.check(job), self.place(job), dict(self.options)
        # Anchors have no state to go on from.
        state = self._state(job, target) if given.get("effort") == "high" else None
        found = None
        if self.views is not None:
            found = read_views(self.views, self.images, allow_outside=reading.allow_outside)
        if state is not None:
            given |= state.options(session.say)
        session.estimate.name = Path(job.source).name
        session.estimate.expect(self._plan(counted(size_of(job.source))))
        room, tiling = self._room(job.source, target), self.tiling
        kept = None
        if tiling is not None and target != STDIO:
            kept = KeptTiles(target, resume=self.resume)
            tiling = replace(tiling, kept=kept)
        session.progress("read")
        with redirect_stdout(sys.stderr):
            read = load_source(job.source, replace(reading, room=room))
            session.estimate.expect(self._plan(len(read.scene), read.scene))
            if self.strip:
                read = _stripped(read)
            if found is not None:
                session.progress("views")
                found = fitted(found, read.scene, job.source, force=self.force_views)
                for note in found.notes:
                    session.say(note)
                given["views"] = target_views(found)
            encoded = encode_with_report(
                read.scene,
                self.method,
                verify=self.verify,
                min_psnr=self.min_psnr,
                meta=read.meta,
                progress=session.progress,
                room=room,
                tiling=tiling,
                **given,
            )
        session.progress("write")
        self._write(target, encoded.data)
        for left in (state, kept):
            if left is not None:
                left.remove()
        return summary_of(
            self.command,
            Written.of(job.source, target, read.bytes, encoded.data, len(encoded.data)),
            inspect(encoded.data).header,
            session,
            (*read.notes, *(found.notes if found else ()), *encoded.notes),
            encoded.report,
        )

    def _write(self, target: str, data: bytes) -> None:
        """Puts the file in place; another run may have done so meanwhile."""
        try:
            write_output(target, data, overwrite=self.overwrite)
        except OutputError:
            if self.skip_existing and Path(target).exists():
                raise Skipped(target) from None
            raise

    def _plan(self, count: int, scene: Scene | None = None) -> tuple[Step, ...]:
        """What is going to be done with so many primitives; of what method, ``scene`` decides."""
        from gscodec.anchors import AnchorScene

        method, anchors = self.method, isinstance(scene, AnchorScene)
        if scene is not None:
            options = methods.by_name(method).Options(**self.options)
            method = methods.chosen(method, scene, options)
        return encoding(method, self.options, count, anchors=anchors, verify=self.verify)

    def _room(self, source: str, target: str) -> Room:
        """Where scenes go.

        Raises:
            OutOfMemoryError: There is no room for them.
        """
        from gscodec.disk.memory import cpus, room_for
        from gscodec.footprint import of_encoding
        from gscodec.room import MEMORY

        size = binary_gaussians(source)
        if size is None:
            return MEMORY
        effort = self.options.get("effort", "fast")
        threads = self.options.get("threads") or cpus()
        needed = of_encoding(*size, self.method, effort, threads)
        return room_for(needed, target, self.max_memory)

    def _state(self, job: Job, target: str) -> StateFile:
        """Of many scenes, those that were not begun have none to go on from."""
        state = StateFile(target, resume=self.resume)
        return StateFile(target, resume=False) if job.of_many and not state.there else state


def _check_checkpoint(source: str) -> None:
    """Refuses a folder of scenes, which a checkpoint is not.

    Raises:
        SceneError: With what to name in place of it.
    """
    from gscodec.checkpointio.layout import SCENE_FILE

    folder = Path(source)
    scenes = sorted(path.name for path in folder.glob("*.ply"))
    if scenes and not (folder / "point_cloud").exists() and SCENE_FILE not in scenes:
        name = printable(source.rstrip("/"))
        raise SceneError(
            f"{name}: found no checkpoint, but {printable(scenes[0])}; name scenes as files: "
            f"{name}/*.ply"
        )


def _stripped(read: LoadedScene[Scene]) -> LoadedScene[Scene]:
    """``read`` without the names of its source and its comments, and notes on these."""
    from gscodec.anchors import AnchorScene
    from gscodec.checkpointio.settings import without_paths

    source, conventions = (
        cast("dict[str, object]", read.meta.get(key, {})) for key in ("source", "conventions")
    )
    source = {key: value for key, value in source.items() if key != "name"}
    kept = {key: value for key, value in conventions.items() if key not in _COMMENTS}
    count = sum(len(cast("list[str]", conventions.get(key, []))) for key in _COMMENTS)
    told = [Note(f"left out {count} comments", "comments-left-out", comments=count)]
    scene, paths = read.scene, 0
    if isinstance(scene, AnchorScene):
        text, paths = without_paths(scene.description)
        scene = replace(scene, description=text)
    left = [Note(f"left out {paths} paths of cfg_args", "paths-left-out", paths=paths)]
    meta: dict[str, object] = {**read.meta, "source": source, "conventions": kept}
    notes = (*read.notes, *(told if count else []), *(left if paths else []))
    return replace(read, scene=scene, meta=meta, notes=notes)
