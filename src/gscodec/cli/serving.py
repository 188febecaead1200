"""A few pages for a browser on this machine, until Ctrl-C."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from gscodec.disk.files import reason
from gscodec.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Mapping

_HOST = "127.0.0.1"


def server_of(parts: Mapping[str, tuple[str, bytes]], port: int) -> ThreadingHTTPServer:
    """Serves ``parts`` (path -> content type and content) to this machine and nobody else.

    Args:
        parts: All there is to have.
        port: 0 takes a free one.

    Raises:
        OutputError: The port is taken, or not ours to take.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            # Pages of others must not read the scene by a name of theirs for this address.
            own = f"{self.server.server_address[1]}"  # type: ignore[index]
            known = self.headers.get("Host") in {f"{_HOST}:{own}", f"localhost:{own}"}
            found = parts.get(self.path.partition("?")[0]) if known else None
            if found is None:
                self.send_error(404 if known else 403)
                return
            kind, data = found
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """Nobody asked who looks."""

    try:
        return ThreadingHTTPServer((_HOST, port), Handler)
    except OSError as error:
        raise OutputError(f"--port {port}: cannot be listened on: {reason(error)}") from error
