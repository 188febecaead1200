"""The .gsz container, format-spec.md section "File": Payload <-> bytes.

``pack`` and ``unpack`` are inverses; ``inspect`` says what is in a file and what each part
of it costs. Of streams it knows only which
attribute they are of; what they hold is the business of methods.
"""

from gscodec.container.inspection import Inspection, Row, inspect
from gscodec.container.meta import fitted_meta
from gscodec.container.reader import unpack
from gscodec.container.writer import pack

__all__ = ["Inspection", "Row", "fitted_meta", "inspect", "pack", "unpack"]
