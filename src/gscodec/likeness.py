"""How like its source a reconstruction looks: measured by whoever encodes, and stored for people."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

from gscodec.errors import VerifyError

if TYPE_CHECKING:
    from gscodec.method import Coded, Progress

Quality = dict[str, object]


def measured(coded: Coded, progress: Progress, *, look: bool) -> Quality:
    """The PSNR of what was ``coded``, or why there is none.

    Returns:
        JSON values: ``mean_psnr`` and ``worst_psnr`` in dB over ``views``, renders of the
        reconstruction against renders of the source; or ``exact``; or ``not_measured``: why.
    """
    if coded.look is None:
        return {"exact": True}
    if not look:
        return {"not_measured": "verification is off"}
    if find_spec("numba") is None:
        return {"not_measured": "there is no renderer; pip install 'gscodec[render]'"}
    progress("look", 0.0)
    found = coded.look(partial(progress, "look"))
    if not found:
        return {"not_measured": coded.unseen}
    # Renderers of two machines agree to more than the digits that are kept.
    mean, worst = round(sum(found) / len(found), 2), round(min(found), 2)
    return {"mean_psnr": mean, "worst_psnr": worst, "views": len(found)}


def require(quality: Quality, least: float) -> None:
    """Refuses a mean PSNR below ``least`` dB.

    Raises:
        VerifyError: It is lower, or not measured.
    """
    match quality:
        case {"mean_psnr": float(found), "views": views} if not found >= least:
            raise VerifyError(
                f"mean PSNR of {found:.2f} dB over {views} views, expected at least {least:g} dB; "
                "nothing was written"
            )
        case {"not_measured": why}:
            raise VerifyError(
                f"PSNR: not measured, {why}; expected at least {least:g} dB; nothing was written"
            )
        case _:
            pass
