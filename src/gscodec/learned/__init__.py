"""What all methods share that learn integer networks: written once, for every kind of scene.

Scenes are columns in units here (`gscodec.units`), whatever their kind; a method says what is
known of a block and how the next unit is coded given that.
"""
