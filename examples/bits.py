"""Where the bytes of a file are: python bits.py FILE.gsz."""

import sys
from pathlib import Path

import gscodec

inspection = gscodec.inspect(Path(sys.argv[1]).read_bytes())
for row in sorted(inspection.rows, key=lambda row: row.bytes, reverse=True):
    print(f"{row.name:10} {row.bytes:>12,} {row.share:7.1%}")
print(f"{'file':10} {inspection.total_bytes:>12,}")
