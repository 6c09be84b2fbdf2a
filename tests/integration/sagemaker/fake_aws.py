"""
S3 and CloudWatch Logs behind a port: moto's backends without moto's own server.

That one would need Flask, which nothing else here does.
"""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from botocore.awsrequest import AWSPreparedRequest
from botocore.compat import HTTPHeaders

REGION = "us-east-1"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body in one packet; in two, Nagle's algorithm costs 40 ms a call

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        service = "logs" if "X-Amz-Target" in self.headers else "s3"
        host = f"{service}.{REGION}.amazonaws.com"
        headers = HTTPHeaders()
        for name, value in self.headers.items():
            headers[name] = host if name.lower() == "host" else value
        request = AWSPreparedRequest(
            self.command, f"http://{host}{self.path}", headers, body, stream_output=False
        )
        with self.server.lock:
            status, answer_headers, payload = self.server.moto.process_request(request)
        payload = payload.encode() if isinstance(payload, str) else bytes(payload)
        self.send_response(status)
        for name, value in answer_headers.items():
            if name.lower() not in {"connection", "content-length", "date", "server"}:
                self.send_header(name, str(value))
        length = answer_headers.get("content-length") if self.command == "HEAD" else None
        self.send_header("Content-Length", str(length or len(payload)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(payload)

    def handle_expect_100(self):
        carry_on = super().handle_expect_100()
        self.wfile.flush()  # the client waits for this before it sends the body
        return carry_on

    do_DELETE = do_GET = do_HEAD = do_POST = do_PUT = answer  # noqa: N815 - http.server's names

    def log_message(self, *_):
        """Keep the test's output to what the test says."""


class FakeAws:
    """Listens on a free port of 127.0.0.1; use as a context manager."""

    def __enter__(self) -> str:
        # Here, not above: moto takes a second that tests without it need not spend.
        from moto.core.botocore_stubber import BotocoreStubber  # noqa: PLC0415  # see above

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.moto = BotocoreStubber()
        self._server.lock = threading.Lock()
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
