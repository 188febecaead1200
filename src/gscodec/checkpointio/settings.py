"""Whether cfg_args is what it should be: trainers and viewers run it through eval().

A decoded checkpoint may come from a stranger's file, so text that does more than list settings
is not written.
"""

from __future__ import annotations

import ast
from typing import cast

_PATHS = ("source_path", "model_path")
_TOO_DEEP = (SyntaxError, ValueError, RecursionError, MemoryError, TypeError)


def is_plain(text: str) -> bool:
    """Whether ``text`` is ``Namespace(name=literal, ...)`` and nothing else."""
    try:
        call = ast.parse(text.strip(), mode="eval").body
        if not isinstance(call, ast.Call) or call.args:
            return False
        if not isinstance(call.func, ast.Name) or call.func.id != "Namespace":
            return False
        for keyword in call.keywords:
            if keyword.arg is None:
                return False
            ast.literal_eval(keyword.value)
    except _TOO_DEEP:
        return False
    return True


def without_paths(text: str) -> tuple[str, int]:
    """``text`` without the names of folders on the machine of the training, and how many it had.

    Of text that is not plain nothing is left, and it counts as one.
    """
    if not text:
        return "", 0
    if not is_plain(text):
        return "", 1
    tree, found = ast.parse(text.strip(), mode="eval"), 0
    for keyword in cast("ast.Call", tree.body).keywords:
        value = ast.literal_eval(keyword.value)
        if isinstance(value, str) and value and _is_path(keyword.arg or "", value):
            keyword.value, found = ast.Constant(""), found + 1
    return (ast.unparse(tree), found) if found else (text, 0)


def _is_path(name: str, value: str) -> bool:
    return name in _PATHS or "/" in value or "\\" in value
