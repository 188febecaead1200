"""Positions: a cubic lattice, Morton order, and an octree coded without loss."""

from gscodec.geometry.lattice import MAX_BITS, Lattice, along_curve

__all__ = ["MAX_BITS", "Lattice", "along_curve"]
