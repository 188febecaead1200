"""Settings of the encoder that the command line does not have, for tests that go through it."""

from __future__ import annotations

from dataclasses import field, make_dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from gscodec import methods

if TYPE_CHECKING:
    import pytest


LEARNED = ("hac", "hemgs", "ralhe", "predict-gs")
# For what is slow and the same for all: one with a grid, one with turns and a basis.
PAIR = ("hac", "predict-gs")


def set_defaults(monkeypatch: pytest.MonkeyPatch, **values: Any) -> None:
    """Other defaults of ``Options``, for as long as ``monkeypatch`` lasts.

    Of all methods that have these settings. Rows are compared with those of the scene, so
    nothing is left out unless it is asked for. Virtual views have few pixels.
    """
    if find_spec("numba"):
        from gscodec.fit import views

        monkeypatch.setattr(views, "_SIZES", {"fast": (96, 72), "high": (192, 144)})
    for module in map(methods.by_name, methods.names()):
        known = module.Options.__dataclass_fields__
        if values.keys() <= known.keys():
            own = {"keep_all": True, **values} if "keep_all" in known else values
            fields = [(name, Any, field(default=value)) for name, value in own.items()]
            other = make_dataclass("Options", fields, bases=(module.Options,), frozen=True)
            monkeypatch.setattr(module, "Options", other)


def few_latents(monkeypatch: pytest.MonkeyPatch) -> None:
    """Method ralhe has latents on scenes that are too small for them to pay."""
    from gscodec.fit import ralhe

    for name, value in {
        "_FEWEST": 30,
        "_SHARED_BY": 2,
        "_FEWEST_NODES": 1,
        "_LEVELS": 4,
    }.items():
        monkeypatch.setattr(ralhe, name, value)
