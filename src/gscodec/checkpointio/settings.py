"""Whether cfg_args is what it should be: trainers and viewers run it through eval().

A decoded checkpoint may come from a stranger's file, so text that does more than list settings
is not written.
"""

from __future__ import annotations

import ast

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
