"""What encoding needs besides what decoding does, looked for before the work."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from gscodec.errors import UsageError

if TYPE_CHECKING:
    from gscodec.methods.hac.options import Options

_LIBRARIES = ("numba", "scipy", "torch")
_WAY_OUT = "pip install 'gscodec[encode]', or use --method raw, which needs nothing more"


def require(options: Options) -> None:
    """Looks for libraries and for the device.

    Raises:
        UsageError: One of them is missing.
    """
    missing = [name for name in _LIBRARIES if find_spec(name) is None]
    if missing:
        raise UsageError(f"method hac: {', '.join(missing)} not installed; {_WAY_OUT}")
    from gscodec.fit.devices import problem_of

    problem = problem_of(options.device)
    if problem:
        raise UsageError(f"method hac: {problem}; {_WAY_OUT}")
