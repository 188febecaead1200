"""Scaffold-GS and HAC checkpoint folders <-> `gscodec.anchors.AnchorScene`; splats of torch.

A folder is a mapping from file name, relative to the model folder, to content. Rule to
remember: a checkpoint is read, never run. Its networks are pickles and TorchScript; they are
parsed here into plain values (`pickles`), so neither torch nor the pickle module sees them.
"""

from gscodec.checkpointio.archive import is_archive
from gscodec.checkpointio.layout import choose_files
from gscodec.checkpointio.reader import CheckpointResult, read_checkpoint
from gscodec.checkpointio.settings import is_plain
from gscodec.checkpointio.splats import read_splats
from gscodec.checkpointio.writer import renamed_extras, write_checkpoint

__all__ = [
    "CheckpointResult",
    "choose_files",
    "is_archive",
    "is_plain",
    "read_checkpoint",
    "read_splats",
    "renamed_extras",
    "write_checkpoint",
]
