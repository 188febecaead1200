"""Scene files <-> `gscodec.scene.GaussianScene`: ``read_ply`` and ``write_ply``.

Bytes in, bytes out. Rule to remember: any input gives a scene or a `SceneError`, and nothing
is dropped, rounded or ignored without a note.
"""

from gscodec.sceneio.reader import ReadResult, check_ply, read_ply
from gscodec.sceneio.writer import ply_parts, renamed_extras, write_ply

__all__ = ["ReadResult", "check_ply", "ply_parts", "read_ply", "renamed_extras", "write_ply"]
