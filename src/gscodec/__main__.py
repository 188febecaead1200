"""``python -m gscodec``."""

from gscodec.cli import main

main()
