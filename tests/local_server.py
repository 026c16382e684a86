"""A web server on this machine that serves one file, and can be told to misbehave."""

import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    """Serves `server.content`; breaks the connection off after `server.limit` bytes; resumes where `server.ranges`.

    `server.headers` stand in place of those it would send, None for not at all; `server.rewind`: a resumed answer begins
    with so many bytes that nobody asked for.
    """

    def do_GET(self):
        server, start = self.server, 0
        server.requests.append(self.headers.get("Range"))
        if server.status != 200:
            return self.send_error(server.status)
        if server.ranges and self.headers.get("Range"):
            start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-")) - server.rewind
            self.send_response(206)
            headers = {"Content-Range": f"bytes {start}-{len(server.content) - 1}/{len(server.content)}"}
        else:
            self.send_response(200)
            headers = {}
        body = server.content[start:]
        if server.length:
            headers["Content-Length"] = str(len(body))
        for name, value in (headers | server.headers).items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        with suppress(ConnectionError):  # a client that has seen enough hangs up
            self.wfile.write(body[: server.limit])

    def log_message(self, *_):
        pass


@contextmanager
def serving(content, name):
    """A server whose `url` ends in `name`; `requests` are the ranges asked for."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.content, server.limit, server.status, server.ranges, server.length = content, None, 200, True, True
    server.headers, server.rewind, server.requests = {}, 0, []
    server.url = f"http://127.0.0.1:{server.server_port}/{name}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
