"""Method `hac`: hash-grid assisted context (Chen et al., ECCV 2024).

Positions are coded losslessly on a lattice (geometry). A binary hash grid and small integer
networks then predict, from the position and from everything decoded before, the step, the
centre and the spread of each group of attribute values; residuals are range coded. Every
number between the bytes and the symbols is an integer.

Coding order of Gaussians: opacity, scale, rotation, SH dc, then SH by degree, luma before chroma. Colours
are rotated to (Y, U, V) with R = Y + U - V, G = Y + 2 V, B = Y - U - V. Rotations are twist
and swing (geometry.rotation).

Of anchors: masks, features in chunks, scalings, offsets. Where this differs from the paper:
docs/hac.md.
"""

from gscodec.methods.hac.bits import spent
from gscodec.methods.hac.decoder import decode
from gscodec.methods.hac.encoding import encode
from gscodec.methods.hac.needs import require
from gscodec.methods.hac.options import Options

__all__ = ["Options", "decode", "encode", "require", "spent"]
