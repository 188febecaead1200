"""The last step of encoding: streams, header, notes, and the scene that they decode to."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from gscodec.kinds.outliers import arrays_of, encode_outliers, with_outliers
from gscodec.method import Coded
from gscodec.payload import Attribute, Header, Payload, Stream
from gscodec.scene import ExtraProperty

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gscodec.anchors import Scene
    from gscodec.fit.subject import Work
    from gscodec.geometry import Lattice
    from gscodec.kinds import Kind
    from gscodec.kinds.aside import Aside
    from gscodec.learned.encoding import Done
    from gscodec.learned.model import Model
    from gscodec.learned.positions import Streams
    from gscodec.learned.run import Run
    from gscodec.payload import Method
    from gscodec.room import Room


def assembled(
    run: Run, work: Work, model: Model, lam: float, done: Done, scene: Scene
) -> Coded:
    """The file; ``scene`` has what is not in columns, as it is wanted."""
    subject, aside, kind, room = run.subject, run.aside, run.subject.kind, run.given.room
    own = subject.streams(scene, work, lam)
    coded = done.decoded.scene({(a, 0): data for a, data in own.items()})
    coded = subject.dressed(coded)
    rows = aside.source_rows(work.index)
    extras = tuple(ExtraProperty(e.name, e.values[rows]) for e in aside.whole.extras)
    decoded = with_outliers(coded, arrays_of(aside.outliers), room)
    decoded = replace(decoded, extras=extras)
    header = header_of(
        run.method.number,
        kind,
        decoded,
        work.lattice,
        block_size=run.options.block_size,
        room=room,
    )
    all_streams = (
        *streams(model, done.positions, done.streams),
        *_outlier_stream(aside),
        *(Stream(attribute, 0, data) for attribute, data in own.items()),
    )
    meta: dict[str, object] = {
        "settings": run.options.told(lam, work.lattice.bits),
        "views": run.views.note,
        **subject.report(run, work, coded),
        **aside.meta(),
    }
    notes = (*aside.notes(), *subject.notes, *subject.told(run, work))
    look = partial(run.views.psnr_by_view, coded)
    payload, exact = Payload(header, all_streams, meta), len(aside.rows)
    return Coded(payload, decoded, notes, look, run.views.unseen, exact, rows, model)


def streams(
    model: Model,
    positions: Sequence[Stream],
    done: Sequence[Streams],
) -> tuple[Stream, ...]:
    """Of the model, of ``positions``, and of all blocks, which are ``done``."""
    return (
        *(Stream(attribute, 0, data) for attribute, data in model.streams().items()),
        *positions,
        *(
            Stream(attribute, number, data)
            for number, block in enumerate(done)
            for attribute, data in block
        ),
    )


def _outlier_stream(aside: Aside) -> tuple[Stream, ...]:
    """Of what is set aside; no stream if nothing is."""
    if not len(aside.rows):
        return ()
    return (Stream(Attribute.OUTLIER, 0, encode_outliers(aside.outliers)),)


def header_of(
    method: Method,
    kind: Kind,
    decoded: Scene,
    lattice: Lattice,
    *,
    block_size: int,
    room: Room,
) -> Header:
    """Of a ``decoded`` scene, all but its outliers on ``lattice``."""
    positions = next(iter(decoded.attributes().values()))
    low, high = (end.tolist() for end in room.bounds(positions))
    return Header(
        kind=kind.scene_kind,
        method=method,
        count=len(decoded),
        sh_degree=kind.sh_degree,
        has_normals=kind.has_normals,
        block_size=block_size,
        position_bits=lattice.bits,
        lattice_origin=lattice.origin,
        lattice_step=lattice.step,
        bounds_min=(low[0], low[1], low[2]),
        bounds_max=(high[0], high[1], high[2]),
        scene_sha256=decoded.digest(room),
    )
