"""The command line: the only place that prints and exits."""

try:
    from gscodec.cli.start import main
except KeyboardInterrupt:  # before `signals` is there to catch it
    raise SystemExit(130) from None

__all__ = ["main"]
