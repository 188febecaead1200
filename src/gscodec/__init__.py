"""gscodec: small, exact, trustworthy files for trained 3D Gaussian Splatting scenes.

    data = gscodec.encode(scene, method="hac", lam=2e-3)
    scene = gscodec.decode(data)
    print(gscodec.inspect(data).total_bytes)

Importing this package costs numpy and constriction only; torch is loaded inside `encode`.
"""

from gscodec._version import __version__
from gscodec.codec import Encoded, Inspection, decode, encode, encode_with_report, inspect
from gscodec.scene import ExtraProperty, GaussianScene

__all__ = [
    "Encoded",
    "ExtraProperty",
    "GaussianScene",
    "Inspection",
    "__version__",
    "decode",
    "encode",
    "encode_with_report",
    "inspect",
]
