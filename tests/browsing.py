"""Headless Chromium by the WebDriver protocol, for tests of pages; skips where there is none."""

from __future__ import annotations

import base64
import io
import json
import shutil
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
]
_PATIENCE = 90  # seconds; a machine may be busy


class Browser:
    """One window."""

    def __init__(self, address: str) -> None:
        self._address = address
        options = {"binary": shutil.which("chromium"), "args": _FLAGS}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options}
        made = self._ask("POST", "", {"capabilities": {"alwaysMatch": wanted}})
        self._session = f"/{made['sessionId']}"

    def show(self, url: str, width: int, height: int, *, dark: bool = False) -> None:
        """Opens ``url`` in a window of so many pixels."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._chrome("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._chrome("Emulation.setEmulatedMedia", {"features": [scheme]})
        self._ask("POST", f"{self._session}/url", {"url": url})

    def run(self, script: str) -> Any:
        """What ``script`` returns."""
        body = {"script": script, "args": []}
        return self._ask("POST", f"{self._session}/execute/sync", body)

    def touch(self, kind: str, fingers: list[tuple[float, float]]) -> None:
        """``kind``: touchStart, touchMove or touchEnd, of ``fingers`` at x, y."""
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(fingers)]
        self._chrome("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    def wait(self, condition: str) -> None:
        """Until the expression ``condition`` is true."""
        end = time.monotonic() + _PATIENCE
        while not self.run(f"return Boolean({condition})"):
            assert time.monotonic() < end, f"not within {_PATIENCE} s: {condition}"
            time.sleep(0.2)

    def picture(self) -> NDArray[np.float32]:
        """(H, W, 3), 0 to 1."""
        from PIL import Image

        data = base64.b64decode(self._ask("GET", f"{self._session}/screenshot"))
        pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        return pixels.astype(np.float32) / np.float32(255)

    def close(self) -> None:
        """Ends it."""
        self._ask("DELETE", self._session)

    def _chrome(self, command: str, values: dict[str, Any]) -> None:
        body = {"cmd": command, "params": values}
        self._ask("POST", f"{self._session}/goog/cdp/execute", body)

    def _ask(self, verb: str, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"{self._address}/session{path}", data, method=verb)  # noqa: S310
        request.add_header("Content-Type", "application/json")
        with urlopen(request, timeout=_PATIENCE) as answer:  # noqa: S310
            return json.load(answer)["value"]


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A new one, which keeps its things in ``folder``."""
    for program in ("chromium", "chromedriver"):
        if shutil.which(program) is None:
            pytest.skip(f"found no {program}: apt-get install chromium chromium-driver")
    log = folder / "chromedriver.log"
    with log.open("wb") as out:
        driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=out, stderr=out)
    try:
        window = Browser(f"http://127.0.0.1:{_port(log)}")
        try:
            yield window
        finally:
            window.close()
    finally:
        driver.terminate()
        try:
            driver.wait(_PATIENCE)
        except subprocess.TimeoutExpired:  # it does not always hear that on a busy machine
            driver.kill()
            driver.wait()


def _port(log: Path) -> int:
    """Where chromedriver says that it listens."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        _, found, rest = log.read_text().partition("started successfully on port ")
        if found and "." in rest:
            return int(rest.partition(".")[0])
        time.sleep(0.1)
    raise AssertionError(log.read_text())
