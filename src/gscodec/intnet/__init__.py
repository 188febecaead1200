"""Integer networks, hash grids and context models: exact on any machine."""
