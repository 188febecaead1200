"""Kinds of scene: scene <-> columns of numbers, both directions, numpy only.

A kind knows its units in coding order and what decoded integers stand for. How these are coded
is the business of methods; none of them appears here.
"""

from gscodec.kinds.anchors import Anchors
from gscodec.kinds.found import kind_of
from gscodec.kinds.gaussians import Gaussians
from gscodec.kinds.kind import Fields, Kind, Values

__all__ = ["Anchors", "Fields", "Gaussians", "Kind", "Values", "kind_of"]
