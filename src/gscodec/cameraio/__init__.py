"""Camera files and photographs -> `gscodec.camera.Camera` and arrays.

Bytes in, values out. Rule to remember: poses are taken as they are written (nothing is
oriented, centred or scaled, as nerfstudio does before it trains, unless `spaces` is asked),
and any input gives cameras or one line that names the camera at fault.
"""

from gscodec.cameraio.colmap_binary import read_colmap_binary
from gscodec.cameraio.colmap_text import read_colmap_text
from gscodec.cameraio.detection import read_cameras
from gscodec.cameraio.lens import rescaled, undistorted
from gscodec.cameraio.photographs import decode_photograph, photograph_size
from gscodec.cameraio.plain import write_cameras
from gscodec.cameraio.poses import Straightened
from gscodec.cameraio.spaces import DATAPARSER_FILE, after_applied, read_dataparser
from gscodec.cameraio.values import MAX_CAMERAS

__all__ = [
    "DATAPARSER_FILE",
    "MAX_CAMERAS",
    "Straightened",
    "after_applied",
    "decode_photograph",
    "photograph_size",
    "read_cameras",
    "read_colmap_binary",
    "read_colmap_text",
    "read_dataparser",
    "rescaled",
    "undistorted",
    "write_cameras",
]
