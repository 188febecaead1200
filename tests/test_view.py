"""``gscodec view``: the page, its server, and in a browser the picture."""

from __future__ import annotations

import base64
import gzip
import json
import re
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import gscodec
from anchors import make_anchor_scene, small_views
from browsing import browser
from gscodec import page
from gscodec.camera import Camera, up_of
from gscodec.cli.serving import server_of
from gscodec.report import view_page
from gscodec.report.view_page import Exhibit, rotation, turned, view_html, view_parts
from scenes import make_scene

if TYPE_CHECKING:
    from collections.abc import Iterator

    from command import Cli

MIC = Path(__file__).parent.parent / "examples/mic-small"
SCENE = make_scene(50, 1)
CAMERA = small_views().cameras[0]
SHOWN = Exhibit(
    "<a>.ply", "50 Gaussians", b"ply...", np.zeros(3), np.array([0, 0, 2.0]), CAMERA
)
built = pytest.mark.skipif(
    not Path(page.__file__).with_name("viewer.js").is_file(),
    reason="the viewer is not here: make page",
)


@pytest.fixture
def viewer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A viewer that is some text, so that no test needs npm."""

    def part(name: str) -> str:
        file = Path(page.__file__).with_name(name)
        if name == "viewer.js":
            return "export {};\n//# sourceMappingURL=x"
        return "" if name == "viewer.css" else file.read_text()

    for module in (page, view_page):
        monkeypatch.setattr(module, "part", part)


def told(html: bytes) -> dict[str, Any]:
    """What a page says to its script."""
    found = re.search(rb'<script id="scene" type="application/json">(.*?)</script>', html)
    assert found
    values: dict[str, Any] = json.loads(found[1])
    return values


# --- where one stands ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "up", [(0, -1, 0), (0, 1, 0), (0, 0, 1), (0, 0, -1), (1, 0, 0), (0.3, -2, 0.5)]
)
def test_up_becomes_y(up: tuple[float, float, float]) -> None:
    vector = np.array(up, float)
    quaternion = rotation(vector)
    np.testing.assert_allclose(np.linalg.norm(quaternion), 1)
    found = turned(quaternion, vector / np.linalg.norm(vector))
    np.testing.assert_allclose(found, (0, 1, 0), atol=1e-12)


def test_usual_scenes_are_turned_as_usual() -> None:
    """By half a turn about z, as other viewers do."""
    np.testing.assert_allclose(rotation(np.array([0, -1.0, 0])), (0, 0, 1, 0), atol=1e-12)


def test_up_of_cameras() -> None:
    """Where they turn about, it is at right angles to the horizon of all; else the mean."""
    around = [_looking(angle, down=0.6) for angle in (0.0, 0.5, 1.2)]
    np.testing.assert_allclose(up_of(around), (0, 0, 1), atol=1e-9)
    one = around[1]
    np.testing.assert_allclose(up_of([one]), -one.world_to_camera[1, :3], atol=1e-9)
    upside_down = np.diag([-1.0, -1, 1, 1]) @ one.world_to_camera
    both = [one, replace(one, world_to_camera=upside_down)]
    np.testing.assert_allclose(up_of(both), (0, -1, 0), atol=1e-9)


def _looking(angle: float, down: float) -> Camera:
    """From a distance of 3 towards zero, held level about z."""
    away = np.array([np.cos(angle) * np.cos(down), np.sin(angle) * np.cos(down), np.sin(down)])
    right = np.array([-np.sin(angle), np.cos(angle), 0])
    matrix = np.eye(4)
    matrix[:3, :3] = (right, np.cross(-away, right), -away)
    matrix[:3, 3] = -matrix[:3, :3] @ (3 * away)
    return Camera(40, 30, 50, 50, 20, 15, matrix)


def test_camera_is_where_it_is() -> None:
    camera = _looking(0.7, 0.4)
    scene = told(_page(replace(SHOWN, camera=camera)))
    pose = scene["settings"]["cameras"][0]["initial"]
    turn = np.array(scene["rotation"])
    np.testing.assert_allclose(pose["position"], turned(turn, camera.centre))
    np.testing.assert_allclose(pose["target"], (0, 0, 0), atol=1e-9)
    assert scene["extent"] == [20 / 50, 15 / 50]
    nowhere = told(_page(replace(SHOWN, camera=None)))
    assert nowhere["settings"]["cameras"] == []


def _page(shown: Exhibit) -> bytes:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(view_page, "part", lambda name: name)
        return view_parts(shown)["/"][1]


# --- pages -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("viewer")
def test_one_page_holds_all() -> None:
    html = view_html(SHOWN)
    packed = re.search(rb'<script id="data" [^>]*>(.*?)</script>', html)
    assert packed
    assert gzip.decompress(base64.b64decode(packed[1])) == SHOWN.ply
    assert told(html)["embedded"] is True
    assert told(html)["bytes"] == len(SHOWN.ply)
    assert b"<b>&lt;a&gt;.ply</b>" in html
    assert b'<link rel="stylesheet"' not in html
    assert b"sourceMappingURL" not in html
    assert html == view_html(SHOWN)


@pytest.mark.usefixtures("viewer")
def test_parts_name_each_other() -> None:
    parts = view_parts(SHOWN)
    html = parts["/"][1].decode()
    for name in re.findall(r'(?:href|from) ?=?"(?:\./)?([a-z]+\.[a-z]+)"', html):
        assert f"/{name}" in parts
    assert told(parts["/"][1])["url"] == "scene.ply"
    assert parts["/scene.ply"][1] == SHOWN.ply


def test_without_viewer(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(page, "files", lambda _: tmp_path)
    result = cli("view", "x.ply")
    assert result.code == 2
    assert "the viewer is not here" in result.err
    assert "run 'make page' once (needs npm)" in result.err


@pytest.mark.usefixtures("viewer")
def test_written_page(cli: Cli, tmp_path: Path) -> None:
    gscodec.save(SCENE, tmp_path / "scene.gsz", method="raw")
    result = cli("view", "scene.gsz", "--html", "page.html", "--background", "1,1,1")
    assert result.code == 0, result.err
    html = (tmp_path / "page.html").read_bytes()
    packed = re.search(rb'<script id="data" [^>]*>(.*?)</script>', html)
    assert packed
    shown = gscodec.read_ply(gzip.decompress(base64.b64decode(packed[1]))).scene
    assert shown.digest() == SCENE.digest()
    assert not shown.has_normals
    assert b"50 Gaussians, SH 1" in html
    assert told(html)["settings"]["background"]["color"] == [1, 1, 1]
    assert b'<body class="bright">' in html  # text is dark then
    assert told(html)["antialiased"] is False
    assert f"scene.gsz -> page.html, {len(html):,} bytes\n" in result.err
    again = cli("view", "scene.gsz", "--html", "page.html")
    assert (again.code, "page.html: exists already" in again.err) == (6, True)


@pytest.mark.usefixtures("viewer")
def test_antialiased_scenes_are_drawn_so(cli: Cli, tmp_path: Path) -> None:
    gscodec.save(replace(SCENE, antialiased=True), tmp_path / "scene.ply")
    assert cli("view", "scene.ply", "--html", "page.html").code == 0
    assert told((tmp_path / "page.html").read_bytes())["antialiased"] is True


@pytest.mark.usefixtures("viewer")
def test_up_is_what_the_source_said(cli: Cli, tmp_path: Path) -> None:
    """In a comment of the .ply, which a .gsz remembers."""
    ply = gscodec.write_ply(SCENE, comments=["vertical axis: x"])
    (tmp_path / "scene.ply").write_bytes(ply)
    assert cli("encode", "scene.ply", "--method", "raw").code == 0
    for name in ("scene.ply", "scene.gsz"):
        assert cli("view", name, "--html", f"{name}.html").code == 0
        turn = told((tmp_path / f"{name}.html").read_bytes())["rotation"]
        np.testing.assert_allclose(
            turned(np.array(turn), np.array([1.0, 0, 0])), (0, 1, 0), atol=1e-9
        )


@pytest.mark.usefixtures("viewer")
def test_what_cannot_be_shown(cli: Cli, tmp_path: Path) -> None:
    gscodec.save(make_anchor_scene(5), tmp_path / "anchors.gsz", method="raw")
    gscodec.save(make_scene(0, 0), tmp_path / "empty.gsz", method="raw")
    for name, code, words in (
        ("anchors.gsz", 3, "holds anchors, which no viewer draws; make Gaussians of them"),
        ("empty.gsz", 3, "found no Gaussians to show"),
        ("missing.gsz", 6, "cannot be read"),
    ):
        result = cli("view", name, "--html", "page.html")
        assert (result.code, words in result.err) == (code, True), result.err
        assert not (tmp_path / "page.html").exists()


# --- server ----------------------------------------------------------------------------------


@contextmanager
def serving(parts: dict[str, tuple[str, bytes]]) -> Iterator[int]:
    server = server_of(parts, 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def asked(port: int, path: str, host: str | None = None) -> tuple[int, bytes, str]:
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", path, headers={} if host is None else {"Host": host})
    answer = connection.getresponse()
    found = answer.status, answer.read(), answer.getheader("Content-Type") or ""
    connection.close()
    return found


def test_server_has_its_parts_and_nothing_else() -> None:
    with serving({"/": ("text/html", b"hello"), "/a.js": ("text/javascript", b"1")}) as port:
        assert asked(port, "/") == (200, b"hello", "text/html")
        assert asked(port, "/?bare")[1] == b"hello"
        assert asked(port, "/a.js", f"localhost:{port}") == (200, b"1", "text/javascript")
        for path in ("/b.js", "/../etc/passwd"):
            assert asked(port, path)[0] == 404
        for host in ("evil.example", f"evil.example:{port}", "127.0.0.1"):
            assert asked(port, "/", host)[0] == 403


@pytest.mark.usefixtures("viewer")
def test_a_port_that_is_taken(cli: Cli, tmp_path: Path) -> None:
    gscodec.save(SCENE, tmp_path / "scene.ply")
    with serving({}) as port:
        result = cli("view", "scene.ply", "--no-browser", "--port", str(port))
    assert result.code == 6
    assert f"--port {port}: cannot be listened on: " in result.err


@built
def test_ctrl_c_is_how_it_ends(tmp_path: Path) -> None:
    gscodec.save(SCENE, tmp_path / "scene.ply")
    with viewing(tmp_path / "scene.ply") as (process, address):
        port = int(address.rstrip("/").rpartition(":")[2])
        assert asked(port, "/")[0] == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


@contextmanager
def viewing(scene: Path, *options: str | Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A run of the command, and the address that it names."""
    command = [sys.executable, "-m", "gscodec", "view", scene, "--no-browser", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            lines = iter(process.stderr.readline, "")
            found = next(line for line in lines if "Ctrl-C stops" in line)
            yield process, found.split()[1]
        finally:
            process.kill()


# --- in a browser ----------------------------------------------------------------------------


@built
@pytest.mark.parametrize("how", ["served", "one page"])
def test_picture_is_that_of_our_renderer(how: str, tmp_path: Path) -> None:
    """Within 25 dB, at a camera of the scene; and it is not black."""
    pytest.importorskip("numba")
    pytest.importorskip("PIL")
    from gscodec.render.quality import psnr

    views = MIC / "cameras.json"
    camera = gscodec.load_cameras(views)[0]
    scene = gscodec.load(MIC / "scene.ply")
    wanted = np.clip(gscodec.render.render(scene, camera), 0, 1)
    assert wanted.mean() > 0.02
    with browser(tmp_path) as window, viewing(MIC / "scene.ply", "--views", views) as (_, at):
        address = at
        if how == "one page":
            file = tmp_path / "page.html"
            command: list[str | Path] = [
                sys.executable,
                "-m",
                "gscodec",
                "view",
                MIC / "scene.ply",
            ]
            subprocess.run([*command, "--views", views, "--html", file], check=True)
            address = file.as_uri()
        window.show(f"{address}?bare", camera.width, camera.height)
        window.wait("document.body.dataset.shown")
        found = window.picture()
        problem = window.run("return document.getElementById('problem').textContent")
    assert problem == ""
    assert found.shape == wanted.shape
    assert found.mean() > 0.02
    assert psnr(found, wanted) > 25


@pytest.mark.usefixtures("viewer")
def test_a_page_goes_to_stdout(cli: Cli, tmp_path: Path) -> None:
    """With ``--html -``."""
    (tmp_path / "s.ply").write_bytes(gscodec.write_ply(SCENE))
    run = cli("view", "s.ply", "--html", "-")
    assert run.code == 0
    assert run.out.startswith(b"<!DOCTYPE html>")
    assert "DOCTYPE" not in run.err
