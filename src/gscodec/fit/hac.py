"""Training of method hac: how large its grid and networks are, for how long they learn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gscodec.fit.devices import on_device
from gscodec.fit.grid import Settings, fit
from gscodec.fit.options import enough
from gscodec.intnet.box import box_around, position_features
from gscodec.intnet.hashgrid import GridLevel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from gscodec.fit.grid import Learned
    from gscodec.fit.options import Options
    from gscodec.fit.targets import Target
    from gscodec.intnet.box import Box


def learn(
    cells: NDArray[np.int64],
    targets: Sequence[Target],
    options: Options,
    share: float,
    progress: Callable[[float], None],
) -> tuple[Box, Learned]:
    """Trains the model of primitives in ``cells`` (N, 3) of the lattice.

    Args:
        cells: In the order of the targets.
        targets: Units in coding order.
        options: Seed, device, threads and iterations, of which ``share`` is taken.
        share: See above.
        progress: Called with the share that is done.
    """
    box = box_around(cells)
    u = box.normalise(cells)
    how = settings(
        len(u),
        share * options.training,
        seed=options.seed,
        device=options.device,
        threads=options.threads,
    )
    return box, fit(u, position_features(u), targets, how, progress)


def settings(
    count: int, iterations: float, *, seed: int, device: str, threads: int | None
) -> Settings:
    """How to train the model of ``count`` primitives, in about so many ``iterations``."""
    return Settings(
        max(2, round(enough(iterations, count))),
        _hidden(count),
        _levels(count),
        seed,
        on_device(device),
        threads,
    )


def _hidden(count: int) -> int:
    """Width of the networks: what they save must outweigh what they cost to send."""
    return 16 if count < 150_000 else 24 if count < 500_000 else 48


def _levels(count: int) -> tuple[GridLevel, ...]:
    """Grids worth trying for ``count`` Gaussians; training drops those that do not pay.

    The paper's grid has 12 levels of 3D and 4 of 2D for a million anchors and more; its
    resolutions are kept, and tables shrink with the scene.
    """
    if count < 5_000:
        return ()
    small = (GridLevel(3, 16, 12), GridLevel(3, 32, 12))
    if count < 50_000:
        return small
    medium = (*small, GridLevel(3, 64, 13), GridLevel(2, 128, 12))
    if count < 500_000:
        return medium
    fine = (
        GridLevel(3, res, 13) for res in (16, 24, 32, 44, 60, 80, 108, 148, 200, 276, 376, 512)
    )
    planes = (GridLevel(2, res, 15) for res in (128, 256, 512, 1024))
    return (*fine, *planes)
