"""``gscodec view``: a scene in a browser, from this machine or as one page."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gscodec.cli.options import AllowOutside, Background, Overwrite, Quiet, parse_background
from gscodec.cli.session import Session
from gscodec.disk.files import STDIO, check_output, write_output
from gscodec.disk.scenes import Reading, load_scene
from gscodec.disk.signals import Interrupted
from gscodec.errors import SceneError
from gscodec.report.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from http.server import ThreadingHTTPServer

    import numpy as np
    from numpy.typing import NDArray

    from gscodec.camera import Camera
    from gscodec.report.view_page import Exhibit
    from gscodec.scene import GaussianScene

_CTRL_C = 130


def view(
    source: Annotated[
        str, typer.Argument(metavar="SCENE", help="A scene, as of encode, or .gsz.")
    ],
    html: Annotated[
        str | None,
        typer.Option(
            "--html",
            metavar="PATH",
            help="Write one page with viewer and scene in it, which needs no network, instead of "
            "serving one.",
        ),
    ] = None,
    views: Annotated[
        str | None,
        typer.Option(
            "--views",
            metavar="PATH",
            help="Start at the first of these cameras: a file, or the folder of a data set. "
            "Default: a virtual camera.",
        ),
    ] = None,
    background: Background = "0,0,0",
    port: Annotated[
        int,
        typer.Option(
            "--port", metavar="N", min=0, max=65535, help="To serve on; default: a free one."
        ),
    ] = 0,
    no_browser: Annotated[
        bool,
        typer.Option("--no-browser", help="Print the address, and open no browser."),
    ] = False,
    allow_outside: AllowOutside = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Show a scene in the browser, until Ctrl-C; or write it as a page."""
    from gscodec.page import part

    colour = parse_background(background)
    part("viewer.js")  # before the work
    if html is not None:
        check_output(source, html, overwrite=overwrite)

    from gscodec.report.view_page import view_html, view_parts

    with Session(quiet=quiet) as session, redirect_stdout(sys.stderr):
        session.estimate.name = Path(source).name
        session.progress("read")
        loaded = load_scene(source, Reading(allow_outside=allow_outside))
        scene = _gaussians(loaded.scene, source)
        session.progress("cameras")
        up, camera = _first_look(scene, views, loaded.meta, allow_outside=allow_outside)
        session.progress("page")
        shown = _exhibit(source, scene, loaded.bytes, up, camera, colour)
        page = b"" if html is None else view_html(shown)
    if html is not None:
        write_output(html, page, overwrite=overwrite)
        if not quiet:
            sys.stderr.write(printable(f"{source} -> {html}") + f", {len(page):,} bytes\n")
        return
    from gscodec.cli.serving import server_of

    _serve(server_of(view_parts(shown), port), browser=not no_browser, quiet=quiet)


def _serve(server: ThreadingHTTPServer, *, browser: bool, quiet: bool) -> None:
    """Until Ctrl-C, which is how this ends well."""
    address = f"http://127.0.0.1:{server.server_address[1]}/"
    if not (quiet and browser):
        sys.stderr.write(f"gscodec: {address} shows the scene; Ctrl-C stops\n")
        sys.stderr.flush()
    if browser:
        import webbrowser

        if not webbrowser.open(address) and not quiet:
            sys.stderr.write(f"gscodec: found no browser to open; go to {address}\n")
    try:
        server.serve_forever()
    except Interrupted as end:
        if end.code != _CTRL_C:
            raise
    finally:
        server.server_close()


def _gaussians(scene: object, source: str) -> GaussianScene:
    from gscodec.scene import GaussianScene

    name = printable(source)
    if not isinstance(scene, GaussianScene):
        raise SceneError(
            f"{name}: holds anchors, which no viewer draws; make Gaussians of them: encode, then "
            "'gscodec decode --bake'"
        )
    if not len(scene):
        raise SceneError(f"{name}: found no Gaussians to show")
    return scene


def _first_look(
    scene: GaussianScene,
    views: str | None,
    meta: Mapping[str, object],
    *,
    allow_outside: bool,
) -> tuple[NDArray[np.float64], Camera | None]:
    """Which way is up, and where one stands, relative to the origin of the scene."""
    import numpy as np

    from gscodec.camera import USUAL_UP, up_of
    from gscodec.sceneio.comments import told_up

    if views is not None:
        from gscodec.disk.views import read_views

        found = read_views(views, allow_outside=allow_outside).cameras
        return up_of(found), found[0].relative_to(scene.origin)
    told = told_up(meta)
    if find_spec("numba") is None:
        return np.array(told or USUAL_UP), None
    from gscodec.render.virtual import virtual_cameras

    virtual = virtual_cameras(scene, 1)
    up = virtual.up if told is None else np.array(told)
    return up, virtual.cameras[0] if virtual.cameras else None


def _exhibit(
    source: str,
    scene: GaussianScene,
    bytes_: int,
    up: NDArray[np.float64],
    camera: Camera | None,
    background: tuple[float, float, float],
) -> Exhibit:
    import numpy as np

    from gscodec.report.text import size
    from gscodec.report.view_page import Exhibit
    from gscodec.sceneio import write_ply

    finite = scene.means[np.isfinite(scene.means).all(axis=1)]
    name = "stdin" if source == STDIO else Path(source).name or Path(source).resolve().name
    return Exhibit(
        name,
        f"{len(scene):,} Gaussians, SH {scene.sh_degree}, {size(bytes_)}",
        write_ply(replace(scene, extras=(), has_normals=False, origin=None)),
        np.median(finite, axis=0).astype(np.float64) if len(finite) else np.zeros(3),
        up,
        camera,
        background,
        scene.antialiased,
    )
