"""What an encoder needs to know of a kind of scene: the other half of `kinds.Kind`.

`Source` is a scene as columns, `Subject` everything that takes a renderer or a judgement. Both
are written once for each kind, in `fit`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from gscodec.geometry import morton
from gscodec.notes import Note
from gscodec.units import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from gscodec.anchors import Scene
    from gscodec.fit.drawing import Moving
    from gscodec.fit.mixing import Mixing
    from gscodec.fit.options import Given, Options
    from gscodec.fit.targets import Target
    from gscodec.fit.views import EncoderViews
    from gscodec.geometry import Lattice
    from gscodec.kinds import Kind
    from gscodec.kinds.aside import Aside
    from gscodec.method import Progress
    from gscodec.payload import Attribute
    from gscodec.units import Expected

    Columns = list[NDArray[np.float64]]


@dataclass(frozen=True)
class Asked:
    """What a run of the encoder is asked for; `learned.run.Run` knows the method too.

    Attributes:
        aside: The scene, and what of it is kept exactly.
        options: What is wanted.
        given: What this run alone is given.
        progress: Hears how far the work is.
        views: What the encoder looks at.
    """

    aside: Aside
    options: Options
    given: Given
    progress: Progress
    views: EncoderViews

    @property
    def looks(self) -> bool:
        """Whether pictures tell what values show."""
        return self.options.effort != "instant" and bool(self.views.cameras)

    @property
    def descends(self) -> bool:
        """Whether values are found through the renderer."""
        return self.options.effort == "high" and bool(self.views.cameras)


class Source(Protocol):
    """A scene in the columns that are coded, (N, columns) float64 for each unit."""

    @property
    def columns(self) -> tuple[NDArray[np.float64], ...]: ...  # noqa: D102

    def rows(self, rows: slice) -> Source:
        """Of some rows, for `ideal` and `after`."""

    def part(self, rows: slice) -> Source:
        """Some rows, for somebody else."""

    def ideal(self, price: float, lam: float) -> list[NDArray[np.float64]]:
        """Log2 of the steps (N, steps) of each unit at which a bit is worth ``price``."""

    def targets(self, price: float, lam: float) -> list[Target]:
        """What the model is to code."""

    def after(
        self,
        number: int,
        columns: Columns,
        quanta: NDArray[np.int64],
        real: NDArray[np.float64],
        *,
        moved: bool,
    ) -> Columns:
        """``columns`` of later units, now that unit ``number`` is decoded: row by row.

        Args:
            number: Of the unit.
            columns: Of all units.
            quanta: What it decodes to.
            real: The same as values.
            moved: Whether ``columns`` are other than those of this source.
        """

    def tidy(self, columns: Columns) -> Columns:
        """With zeros where nothing is coded."""

    def agreement(self, units: range) -> NDArray[np.float64]:
        """How errors in the F columns of ``units`` agree in pictures: (F, F), 1 with themselves."""

    def mixed(self, mixing: Mixing, steps: NDArray[np.float64]) -> Source:
        """With residuals where there is ``mixing``, of the ideal ``steps`` (N,), log2."""


@dataclass(frozen=True)
class Work:
    """A scene that is ready to be modelled, in Morton order.

    Attributes:
        scene: The values that are wanted.
        index: (N,) int64, which primitive of the original scene each one is.
        source: The scene in coded columns.
        lattice: Of the positions.
        codes: (N,) uint64 Morton codes, ascending.
        mixing: Of the columns of the source, where they are not those of the scene.
        start: A model that training may go on from.
    """

    scene: Scene
    index: NDArray[np.int64]
    source: Source
    lattice: Lattice
    codes: NDArray[np.uint64]
    mixing: Mixing | None = None
    start: object = None

    @property
    def cells(self) -> NDArray[np.int64]:
        """(N, 3) positions on the lattice."""
        return morton.decode(self.codes)

    @property
    def place(self) -> Place:
        """Of all primitives."""
        return Place(self.codes, self.lattice.bits)

    @property
    def positions(self) -> NDArray[np.float32]:
        """(N, 3) the centres of their cells."""
        return self.lattice.positions(self.cells)


class Manner(NamedTuple):
    """How effort high treats a kind of scene.

    Attributes:
        round_rate: Factor of the learning rates in rounds.
        round_rate_to_photographs: The same where photographs are the target.
        settle_rate: The same when settling begins.
        settle_share: Of all iterations, or of the time: kept for settling. None settle where
            this is 0.
    """

    round_rate: float
    round_rate_to_photographs: float
    settle_rate: float = 0.0
    settle_share: float = 0.0

    def iterations(self, planned: int, turns: int) -> tuple[int, int]:
        """Of one of ``turns`` in which units settle, and of the whole optimisation, about."""
        total = self.settle_share * planned
        return max(1, round(total) // turns), round(round(total) / self.settle_share)


class Subject(ABC):
    """A scene that is being encoded.

    Attributes:
        scene: What is coded of it.
        kind: How it is made of units.
        noun: What its primitives are called.
        notes: What was changed to get here, one line each.
        manner: See `Manner`.
        recolours: Whether colours make up for what coding changes, see `recoloured`.
    """

    scene: Scene
    kind: Kind
    noun: str
    recolours: bool = False
    notes: tuple[str, ...] = ()
    manner: Manner

    def __init__(self) -> None:
        self._original: Any = None

    @property
    def shown(self) -> Scene:
        """What pictures of the result are compared with."""
        return self.scene

    @abstractmethod
    def price(self, lam: float) -> float:
        """Squared error of a picture that a bit is worth."""

    def descends_once(self, run: Asked) -> bool:
        """Whether effort high has one round: ways to photographs are longer, and some settle."""
        return run.descends and run.views.photographs is None and not self.manner.settle_share

    def check(self, run: Asked, lam: float) -> None:  # noqa: B027
        """Whether an octree can be deep enough.

        Raises:
            OutlyingError: Not as long as some primitives are so far away.
        """

    def measured(self, run: Asked, scene: Scene) -> Any:
        """What each value of ``scene`` does to pixels, as `measure` gives it.

        The scene as it is is measured once, however many lambdas are tried.
        """
        if scene is not self.scene:
            return self.measure(run, scene)
        if self._original is None:
            self._original = self.measure(run, scene)
        return self._original

    @abstractmethod
    def measure(self, run: Asked, scene: Scene) -> Any:
        """What each value of ``scene`` does to pixels."""

    @abstractmethod
    def prepared(
        self, run: Asked, scene: Scene, index: NDArray[np.int64], lam: float, *, prune: bool
    ) -> Work:
        """``scene`` measured, without what is not worth its bits, in order on a lattice."""

    def recoloured(
        self,
        run: Asked,  # noqa: ARG002
        work: Work,
        decoded: Callable[[Work], Scene],  # noqa: ARG002
    ) -> Work:
        """``work`` with colours that make up for what else changes until it is ``decoded``."""
        return work

    @abstractmethod
    def drawing(self, run: Asked, work: Work) -> Moving:
        """``work`` as it is drawn while it changes."""

    def laws(self, found: list[Expected]) -> list[Expected]:
        """``found`` for each unit, with what later units make up for."""
        return found

    @abstractmethod
    def moved(self, work: Work, columns: Columns, drawing: Moving) -> Scene:
        """The scene of ``work`` after a descent; positions stay those of the source."""

    def free(self, scene: Scene) -> list[NDArray[np.float32]]:  # noqa: ARG002
        """What is optimised besides columns, in the order of `Drawing.state`."""
        return []

    def with_free(self, scene: Scene, arrays: Sequence[NDArray[np.float32]]) -> Scene:  # noqa: ARG002
        """``scene`` with these arrays."""
        return scene

    def streams(self, scene: Scene, work: Work, lam: float) -> dict[Attribute, bytes]:  # noqa: ARG002
        """Those of `Kind.shared`, of what is not in columns of ``scene``."""
        return {}

    def dressed(self, scene: Scene) -> Scene:
        """A decoded ``scene`` with what no unit holds."""
        return scene

    @abstractmethod
    def report(self, run: Asked, work: Work, decoded: Scene) -> dict[str, object]:
        """JSON values about positions and whatever else is worth telling."""

    @abstractmethod
    def told(self, run: Asked, work: Work) -> tuple[str, ...]:
        """Notes about ``work`` and the views of ``run``, one line each."""


def pruned_note(count: int, of: int, noun: str) -> tuple[Note, ...]:
    """On primitives that are left out, if there are any."""
    return (
        (Note(f"pruned {count} of {of} {noun}", "pruned", pruned=count, of=of),)
        if count
        else ()
    )


def reordered_note(count: int, noun: str) -> Note:
    """On primitives that have another order than in the source."""
    return Note(f"reordered {count} {noun} along the Morton curve", "reordered", count=count)
