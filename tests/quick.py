"""Settings of the encoder that the command line does not have, for tests that go through it."""

from __future__ import annotations

from dataclasses import field, make_dataclass
from typing import TYPE_CHECKING, Any

from gscodec import methods

if TYPE_CHECKING:
    import pytest


LEARNED = ("hac", "hemgs")


def set_defaults(monkeypatch: pytest.MonkeyPatch, **values: Any) -> None:
    """Other defaults of ``Options``, for as long as ``monkeypatch`` lasts.

    Of all methods that have these settings.
    """
    fields = [(name, Any, field(default=value)) for name, value in values.items()]
    for module in map(methods.by_name, methods.names()):
        if values.keys() <= module.Options.__dataclass_fields__.keys():
            other = make_dataclass("Options", fields, bases=(module.Options,), frozen=True)
            monkeypatch.setattr(module, "Options", other)
