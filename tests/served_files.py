"""A server on 127.0.0.1 for tests. Nothing that it does takes longer than a few seconds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LONGEST = 10.0  # seconds that a behaviour may wait


class Server:
    """What a test serves: the bytes of each file, or a behaviour; and what was asked for."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.cut: set[str] = set()  # served with a length that the bytes do not reach
        self.moved: dict[str, str] = {}  # names to the addresses that they are redirected to
        self.behaviours: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {}  # written by hand
        self.asked: list[str] = []
        self.ended = threading.Event()  # behaviours that wait do so for this
        self.url = ""

    def wait(self, seconds: float = LONGEST) -> bool:
        """Wait; True if the test is over."""
        return self.ended.wait(min(seconds, LONGEST))


@contextmanager
def serving() -> Iterator[Server]:
    """A running server."""
    served = Server()

    class Handler(BaseHTTPRequestHandler):
        timeout = LONGEST

        def do_GET(self) -> None:
            name = self.path.lstrip("/")
            served.asked.append(name)
            try:
                self.answer(name)
            except OSError:  # the other side has hung up, as it should
                self.close_connection = True

        def answer(self, name: str) -> None:
            if name in served.behaviours:
                served.behaviours[name](self)
            elif name in served.moved:
                self.send_response(302)
                self.send_header("Location", served.moved[name])
                self.send_header("Content-Length", "0")
                self.end_headers()
            elif name in served.files:
                data = served.files[name]
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data[: -1 if name in served.cut else None])
            else:
                self.send_error(404)

        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        served.url = f"http://127.0.0.1:{http.server_address[1]}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield served
        finally:
            served.ended.set()
            http.shutdown()
            thread.join()
