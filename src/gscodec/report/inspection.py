"""An inspected file -> tables: facts, notes, and where the bytes are."""

from __future__ import annotations

import math
from itertools import islice
from typing import TYPE_CHECKING, Protocol, cast

from rich import box
from rich.table import Table
from rich.text import Text

from gscodec.methods import name_of
from gscodec.report.text import cut, label, printable, shown, size

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gscodec.kinds.blueprint import Blueprint
    from gscodec.payload import Conventions, Header


# Of notes of unknown origin, which may be a megabyte: what fits on a few screens.
_MOST_TABLES, _MOST_ROWS, _MOST_CHARACTERS = 20, 100, 1000


class Row(Protocol):
    """One line of the account of a file's bytes, as container.Row."""

    @property
    def name(self) -> str:
        """Of the attribute, or ``header``, ``meta``, ``container``."""

    @property
    def chunks(self) -> int:
        """Number of chunks that hold it."""

    @property
    def bytes(self) -> int:
        """Its bytes."""

    @property
    def bits_per_primitive(self) -> float:
        """8 x bytes / count."""

    @property
    def bits_per_value(self) -> float | None:
        """Of an anchor's attributes; else None."""

    @property
    def share(self) -> float:
        """Of the file, 0 to 1."""


class Inspected(Protocol):
    """What is shown of a file, as container.Inspection."""

    @property
    def header(self) -> Header:
        """What a reader needs."""

    @property
    def meta(self) -> dict[str, object]:
        """Notes for people."""

    @property
    def meta_problem(self) -> str | None:
        """What is wrong with them, if anything."""

    @property
    def conventions(self) -> Conventions:
        """Of Gaussians, how they are drawn and where they lie."""

    @property
    def version(self) -> int:
        """Of the format."""

    @property
    def total_bytes(self) -> int:
        """Size of the file."""

    @property
    def rows(self) -> Sequence[Row]:
        """They add up to ``total_bytes``."""

    @property
    def blueprint(self) -> Blueprint | None:
        """Of the checkpoint that anchors are from; None for Gaussians."""

    @property
    def prior(self) -> str | None:
        """The name of networks that the file refers to; None if it does not."""


def inspection_tables(name: str, inspected: Inspected) -> Iterator[Table]:
    """Facts about the file ``name``, one table per note, and the account of its bytes."""
    yield _facts(printable(name), _header_facts(inspected))
    if inspected.blueprint is not None:
        yield _facts("checkpoint", _checkpoint_facts(inspected.blueprint))
    yield from _notes(inspected.meta, inspected.meta_problem)
    yield _account(inspected)


def overview(found: Mapping[str, Inspected]) -> Table:
    """A line for each of several files, by name."""
    table = Table(box=box.SIMPLE_HEAD, show_footer=len(found) > 1, show_edge=False)
    bytes_in_all = sum(inspected.total_bytes for inspected in found.values())
    footers = {"file": f"{len(found)} files", "bytes": f"{bytes_in_all:,}"}
    for heading in ("file", "bytes", "method", "kind", "count", "bytes each", "dB"):
        is_text = heading in {"file", "method", "kind"}
        table.add_column(
            heading,
            footers.get(heading, ""),
            justify="left" if is_text else "right",
            overflow="fold",
            no_wrap=not is_text,
        )
    for name, inspected in found.items():
        header = inspected.header
        quality = inspected.meta.get("quality")
        psnr = quality.get("mean_psnr") if isinstance(quality, dict) else None
        exact = isinstance(quality, dict) and quality.get("exact") is True
        table.add_row(
            Text(printable(name)),
            f"{inspected.total_bytes:,}",
            name_of(header.method),
            header.kind.name.lower(),
            f"{header.count:,}",
            f"{inspected.total_bytes / header.count:.2f}" if header.count else "",
            "exact" if exact else f"{psnr:.1f}" if isinstance(psnr, float) else "",
        )
    return table


def _notes(meta: dict[str, object], problem: str | None) -> Iterator[Table]:
    """One table for each of the first few objects in ``meta``, one for what is left of it."""
    apart = [k for k, v in meta.items() if isinstance(v, dict) and v][:_MOST_TABLES]
    loose = {k: v for k, v in meta.items() if k not in apart}
    if problem is not None:
        loose["cannot be read"] = problem
    if loose:
        yield _facts("notes", loose)
    for key in apart:
        yield _facts(cut(label(key), _MOST_CHARACTERS), cast("dict[str, object]", meta[key]))


def _header_facts(inspected: Inspected) -> dict[str, object]:
    header = inspected.header
    of_gaussians = {"SH degree": header.sh_degree, "normals": header.has_normals}
    lattice = f"{header.position_bits} bits, step {header.lattice_step:.6g}"
    return {
        "format": f"gsz version {inspected.version}, {size(inspected.total_bytes)}",
        "method": name_of(header.method),
        "kind": header.kind.name.lower(),
        "count": f"{header.count:,}",
        **(of_gaussians if inspected.blueprint is None else {}),
        "block size": f"{header.block_size:,}",
        "lattice": lattice if header.position_bits else "none, positions are exact",
        "bounds from": header.bounds_min,
        "bounds to": header.bounds_max,
        **({} if inspected.prior is None else {"prior": inspected.prior}),
        "scene SHA-256": header.scene_sha256.hex(),
        **_conventions_facts(inspected.conventions),
    }


def _conventions_facts(conventions: Conventions) -> dict[str, object]:
    """What is not the default; an origin is shown to its last digit."""
    origin = conventions.origin
    return {
        **({"antialiased": True} if conventions.antialiased else {}),
        **({} if origin is None else {"origin": ", ".join(map(repr, origin))}),
    }


def _checkpoint_facts(blueprint: Blueprint) -> dict[str, object]:
    parameters = sum(math.prod(shape) for shape in blueprint.shapes())
    told = zip(("opacity", "covariance", "color"), blueprint.distances, strict=True)
    rows, width = blueprint.appearance or (0, 0)
    return {
        "features": f"{blueprint.features} an anchor",
        "offsets": f"{blueprint.offsets} an anchor{', masked' * blueprint.has_masks}",
        "networks": f"{blueprint.storage.name.lower()}, {parameters:,} parameters",
        "feature bank": bool(blueprint.hidden[3]),
        "appearance": f"{width} values for {rows:,} cameras" if rows else None,
        "told the distance": [name for name, on in told if on],
        "iteration": f"{blueprint.iteration:,}",
        "cfg_args": blueprint.description,
    }


def _facts(title: str, facts: dict[str, object]) -> Table:
    table = Table(
        title=Text(title, style="bold"), title_justify="left", box=None, show_header=False
    )
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in islice(facts.items(), _MOST_ROWS):
        words = cut(label(key), _MOST_CHARACTERS), cut(shown(value), _MOST_CHARACTERS)
        table.add_row(*map(Text, words))
    if len(facts) > _MOST_ROWS:
        table.add_row(Text("..."), Text(f"{len(facts) - _MOST_ROWS:,} more; all with --json"))
    return table


def _account(inspected: Inspected) -> Table:
    anchors = inspected.blueprint is not None
    table = Table(box=box.SIMPLE_HEAD, show_footer=True, show_edge=False)
    per_primitive = 8 * inspected.total_bytes / max(inspected.header.count, 1)
    table.add_column("part", footer="file")
    for heading, footer in (
        ("chunks", str(sum(row.chunks for row in inspected.rows))),
        ("bytes", f"{inspected.total_bytes:,}"),
        (f"bits per {'anchor' if anchors else 'Gaussian'}", f"{per_primitive:.2f}"),
        *((("bits per value", ""),) if anchors else ()),
        ("share", "100.0 %"),
    ):
        table.add_column(heading, footer=footer, justify="right")
    for row in inspected.rows:
        per_value = "" if row.bits_per_value is None else f"{row.bits_per_value:.3f}"
        table.add_row(
            Text(label(row.name)),
            str(row.chunks),
            f"{row.bytes:,}",
            f"{row.bits_per_primitive:.2f}",
            *((per_value,) if anchors else ()),
            f"{row.share:.1%}".replace("%", " %"),
        )
    return table
