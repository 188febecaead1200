"""LPIPS (Zhang et al., 2018) by its authors' package, with VGG as papers on 3DGS have it.

Nothing is ever downloaded here. The package fetches the weights of VGG from the network when
they are not on the machine; that is for the user to start.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gscodec.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_WEIGHTS = "vgg16-397923af.pth"  # as torchvision names them
_FETCH = "python -c \"import lpips; lpips.LPIPS(net='vgg')\""


def require_lpips() -> None:
    """Refuses before any work is done.

    Raises:
        UsageError: A package or the weights of VGG are not on this machine.
    """
    for name in ("torch", "lpips"):
        if find_spec(name) is None:
            raise UsageError(f"LPIPS needs {name}; pip install 'gscodec[encode]' lpips")
    import torch

    if not (Path(torch.hub.get_dir()) / "checkpoints" / _WEIGHTS).is_file():
        raise UsageError(
            "LPIPS needs the weights of VGG, 528 MB, which gscodec does not download by "
            f"itself; fetch them once with: {_FETCH}"
        )


def load_lpips() -> Callable[[NDArray[np.float32], NDArray[np.float32]], float]:
    """The distance of two (H, W, 3) pictures, 0 to 1: 0 for identical ones.

    Raises:
        UsageError: As `require_lpips`.
    """
    require_lpips()
    import lpips
    import torch

    network = lpips.LPIPS(net="vgg", verbose=False).eval()

    def tensor(image: NDArray[np.float32]) -> torch.Tensor:
        planes = np.ascontiguousarray(image.transpose(2, 0, 1), np.float32)
        return torch.from_numpy(planes)[None] * 2 - 1  # (1, 3, H, W), -1 to 1

    def distance(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
        with torch.no_grad():
            return float(network(tensor(a), tensor(b)))

    return distance
