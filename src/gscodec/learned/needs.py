"""What encoding needs besides what decoding does, looked for before the work."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from gscodec.errors import UsageError

if TYPE_CHECKING:
    from gscodec.fit.options import Options

_LIBRARIES = ("numba", "scipy", "torch")
_WAY_OUT = "pip install 'gscodec[encode]', or use --method raw, which needs nothing more"


def require(name: str, options: Options) -> None:
    """Looks for libraries and for the device.

    Raises:
        UsageError: One of them is missing.
    """
    missing = [library for library in _LIBRARIES if find_spec(library) is None]
    if missing:
        raise UsageError(f"method {name}: {', '.join(missing)} not installed; {_WAY_OUT}")
    from gscodec.fit.devices import problem_of

    problem = problem_of(options.device)
    if problem:
        raise UsageError(f"method {name}: {problem}; {_WAY_OUT}")
