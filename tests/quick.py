"""Settings of the encoder that the command line does not have, for tests that go through it."""

from __future__ import annotations

from dataclasses import field, make_dataclass
from typing import TYPE_CHECKING, Any

from gscodec import methods

if TYPE_CHECKING:
    import pytest


def set_defaults(monkeypatch: pytest.MonkeyPatch, method: str = "hac", **values: Any) -> None:
    """Other defaults of the ``Options`` of ``method``, for as long as ``monkeypatch`` lasts."""
    module = methods.by_name(method)
    fields = [(name, Any, field(default=value)) for name, value in values.items()]
    other = make_dataclass("Options", fields, bases=(module.Options,), frozen=True)
    monkeypatch.setattr(module, "Options", other)
