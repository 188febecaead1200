"""The registry of methods: wire number, written name, module; nothing else lists them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple, cast

from gscodec.errors import UnsupportedError, UsageError
from gscodec.payload import Method

if TYPE_CHECKING:
    from gscodec.anchors import Scene
    from gscodec.fit.options import Options
    from gscodec.method import MethodModule


class Entry(NamedTuple):
    """A method of this version.

    Attributes:
        name: As people write it.
        module: Where it is.
        about: What it is for, a few words for the help of commands.
    """

    name: str
    module: str
    about: str = ""


REGISTRY = {
    Method.RAW: Entry("raw", "gscodec.methods.raw", "every bit kept"),
    Method.HAC: Entry("hac", "gscodec.methods.hac", "as hemgs, larger: a grid, no neighbours"),
    Method.HEMGS: Entry(
        "hemgs", "gscodec.methods.hemgs", "small, quantised to what the eye sees"
    ),
    Method.RALHE: Entry(
        "ralhe", "gscodec.methods.ralhe", "as hemgs, with latents on an octree"
    ),
    Method.PREDICT_GS: Entry(
        "predict-gs", "gscodec.methods.predict_gs", "as hemgs, in a basis of the scene's own"
    ),
}


AUTO = DEFAULT = "auto"
_ABOUT_AUTO = "the smallest for the scene, of hemgs and predict-gs"
_PLAIN, _MIXING = "hemgs", "predict-gs"


def names() -> tuple[str, ...]:
    """Names of the methods, in the order of their wire numbers."""
    return tuple(REGISTRY[method].name for method in sorted(REGISTRY))


def choices() -> dict[str, str]:
    """What each method is for, by its name, the default first."""
    about = {REGISTRY[method].name: REGISTRY[method].about for method in sorted(REGISTRY)}
    return {AUTO: _ABOUT_AUTO, **about}


def chosen(name: str, scene: Scene, options: object) -> str:
    """What `AUTO` stands for, for ``scene`` and ``options``; other names are their own.

    A basis pays where there are many features, or where enough higher SH coefficients go together
    (docs/predict-gs.md); effort instant has none.
    """
    if name != AUTO:
        return name
    from gscodec.anchors import AnchorScene

    learned = cast("Options", options)
    if learned.effort == "instant" or not len(scene):
        return _PLAIN
    if isinstance(scene, AnchorScene):
        return _MIXING
    from gscodec.fit.predict_gs import likely_to_pay

    return _MIXING if likely_to_pay(scene, learned.lam) else _PLAIN


def name_of(method: Method) -> str:
    """As people write it, also where this version lacks it."""
    if method in REGISTRY:
        return REGISTRY[method].name
    return method.name.lower().replace("_", "-")


def by_name(name: str) -> MethodModule:
    """The module of method ``name``; for `AUTO` one whose options are those of all it chooses.

    Raises:
        UsageError: If there is none.
    """
    if name == AUTO:
        name = _PLAIN
    for entry in REGISTRY.values():
        if entry.name == name:
            return cast("MethodModule", import_module(entry.module))
    raise UsageError(f"method: found {name!r}, expected one of {', '.join((AUTO, *names()))}")


def by_id(method: Method) -> MethodModule:
    """The module that decodes ``method``.

    Raises:
        UnsupportedError: If this version has none.
    """
    if method not in REGISTRY:
        raise UnsupportedError(
            f"method {name_of(method)}: not in this version of gscodec, which decodes "
            f"{', '.join(names())}"
        )
    return by_name(REGISTRY[method].name)
