"""A database behind a real connection that stops answering: a proxy before an engine, on the loopback."""

import http.client
import math
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from urllib.parse import urlsplit

HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}


class Proxy:
    """Passes requests on until it is told to fail them."""

    def __init__(self, upstream: str, url: str) -> None:
        self.upstream, self.url = urlsplit(upstream).netloc, url
        self.ended = Event()
        self.answered = 0
        self._answers: float = math.inf
        self._deaths = 0
        self._lock = Lock()

    def hang(self, *, after: float = 0) -> None:
        """Answer so many more requests; accept all from then on, and never answer."""
        with self._lock:
            self._answers = after

    def die(self, times: int = 1) -> None:
        """Close the connection of so many requests without an answer."""
        with self._lock:
            self._deaths = times

    def takes(self) -> str:
        with self._lock:
            if self._deaths:
                self._deaths -= 1
                return "die"
            self._answers -= 1
            if self._answers < 0:
                return "hang"
            self.answered += 1
            return "pass"


@contextmanager
def proxy(upstream: str) -> Iterator[Proxy]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            match through.takes():
                case "die":
                    self.close_connection = True
                case "hang":
                    through.ended.wait()
                    self.close_connection = True
                case _:
                    self._pass_on(body)

        def _pass_on(self, body: bytes) -> None:
            upstream_ = http.client.HTTPConnection(through.upstream)
            try:
                upstream_.request("POST", self.path, body, dict(self.headers))
                answer = upstream_.getresponse()
                content = answer.read()
            finally:
                upstream_.close()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 64
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Who has given up waiting has hung up."""

    server = Server(("127.0.0.1", 0), Handler)
    through = Proxy(upstream, f"http://127.0.0.1:{server.server_address[1]}")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield through
    finally:
        through.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
