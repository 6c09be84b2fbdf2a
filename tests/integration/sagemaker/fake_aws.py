"""
S3, SQS and CloudWatch Logs behind a port: moto's backends without moto's own server.

That one would need Flask, which nothing else here does. Lambda functions are Python functions that
a test puts into `FUNCTIONS`.
"""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

from botocore.awsrequest import AWSPreparedRequest
from botocore.compat import HTTPHeaders

REGION = "us-east-1"
#: By name: takes the event, returns the answer; what it raises is the function's error.
FUNCTIONS: dict[str, Callable] = {}
TARGETS = {"AmazonSQS": "sqs", "Logs_20140328": "logs"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body in one packet; in two, Nagle's algorithm costs 40 ms a call

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.startswith("/2015-03-31/functions/"):
            self.invoke(unquote(self.path.split("/")[3]).rpartition(":")[2], body)
            return
        if self.path.startswith("/service/"):
            self.answer_cloudwatch()
            return
        service = TARGETS.get(self.headers.get("X-Amz-Target", "").partition(".")[0], "s3")
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

    def invoke(self, name, body):
        status, failed = 200, {}
        try:
            answer = FUNCTIONS[name](json.loads(body))
        except KeyError:
            status, failed = 404, {"x-amzn-ErrorType": "ResourceNotFoundException"}
            answer = {"Message": f"Function not found: {name}"}
        except Exception as error:  # noqa: BLE001 - as Lambda tells what a function raises
            failed = {"X-Amz-Function-Error": "Unhandled"}
            answer = {"errorType": type(error).__name__, "errorMessage": str(error)}
        payload = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        for header, value in failed.items():
            self.send_header(header, value)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def answer_cloudwatch(self):
        """Take metrics, and know no alarms: tests that look at either bring a client."""
        self.send_response(200)
        self.send_header("smithy-protocol", "rpc-v2-cbor")
        self.send_header("Content-Type", "application/cbor")
        self.send_header("Content-Length", "1")
        self.end_headers()
        self.wfile.write(bytes([0xA0]))

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
