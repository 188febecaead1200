"""What encoding needs besides what decoding does, looked for before the work."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from gscodec.errors import UsageError

if TYPE_CHECKING:
    from gscodec.fit.options import Options
    from gscodec.learned.model import Learner

_LIBRARIES = ("numba", "scipy", "torch")
_WAY_OUT = (
    "pip install 'gscodec[encode]', or use method hemgs at effort instant (of Gaussians) or "
    "method raw, which need nothing more"
)


def require(method: Learner, options: Options) -> None:
    """Looks for libraries and for the device.

    Raises:
        UsageError: One of them is missing, or ``method`` has no such effort.
    """
    name = method.name
    if options.effort == "instant":
        if not method.instant:
            raise UsageError(
                f"effort instant: method {name} has none; expected fast or high, or method hemgs"
            )
        if options.target_psnr is not None:
            raise UsageError("target PSNR: effort instant measures none; use effort fast")
        return
    missing = [library for library in _LIBRARIES if find_spec(library) is None]
    if missing:
        raise UsageError(f"method {name}: {', '.join(missing)} not installed; {_WAY_OUT}")
    # To load torch takes seconds, so who can do without it does not even look whether it works.
    if not (method.torch or options.effort == "high" or options.device == "cuda"):
        return
    from gscodec.fit.devices import problem_of

    problem = problem_of(options.device)
    if problem:
        raise UsageError(f"method {name}: {problem}; {_WAY_OUT}")
