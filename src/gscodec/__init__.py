"""gscodec: small, exact, trustworthy files for trained 3D Gaussian Splatting scenes.

    data = gscodec.encode(scene, method="hac", lam=2e-3)
    scene = gscodec.decode(data)
    print(gscodec.inspect(data).total_bytes)

Importing this package costs numpy and constriction only; torch is loaded inside `encode`.
"""

__version__ = "0.1.0"
