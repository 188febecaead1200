"""Integer networks, hash grids and models of units: exact on any machine."""
