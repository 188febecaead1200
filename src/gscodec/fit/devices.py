"""Whether torch can train where it is asked to."""

from __future__ import annotations


def problem_of(wanted: str) -> str:
    """Why torch cannot work on ``wanted`` ("auto", "cpu", "cuda"); empty if it can."""
    try:
        import torch
    except (ImportError, OSError) as error:  # installed, but not whole
        return f"torch cannot be loaded ({error})"
    if wanted != "cuda" or torch.cuda.is_available():
        return ""
    if torch.version.cuda is None:
        return f"device cuda: torch {torch.__version__} is built without CUDA; use device cpu"
    return "device cuda: torch finds no GPU; use device cpu"


def on_device(wanted: str) -> str:
    """``wanted``, or the device that is there for "auto"."""
    import torch

    if wanted != "auto":
        return wanted
    return "cuda" if torch.cuda.is_available() else "cpu"
