"""
Serve: an endpoint's process, from SageMaker's `serve` to SIGTERM.

Loads numpy and onnxruntime only; boto3 too when it writes its own capture. The port is open at
once; /ping turns 200 when the model is loaded and has answered a row.
"""

import gc
import logging
import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType

from tidemill_jobs.capture.rule import Rule
from tidemill_jobs.capture.writer import CaptureWriter, Store
from tidemill_jobs.container import Container
from tidemill_jobs.predictor import Predictor
from tidemill_jobs.serving.server import Server

log = logging.getLogger(__name__)

ANY_ADDRESS = "0.0.0.0"  # noqa: S104  # SageMaker calls from outside the container
LOOPBACK = "127.0.0.1"
SWITCH_SECONDS = 0.0005  # a large request holds up a small one for so long, each time they meet


def main(container: Container, arguments: Sequence[str]) -> None:
    """Serve until SIGTERM or SIGINT; answers under way are finished."""
    if arguments:
        log.warning("serve takes no arguments; ignored: %s", " ".join(arguments))
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    sys.setswitchinterval(SWITCH_SECONDS)
    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    rule = Rule.parse(container.capture) if container.capture else None
    host = ANY_ADDRESS if container.is_real else LOOPBACK
    server = Server(host, container.port, container.payload_bytes, container.cpus)
    accepting = threading.Thread(target=server.serve_forever)
    capture: CaptureWriter | None = None
    accepting.start()
    try:
        predictor = Predictor.load(container.model)
        predictor.warm()
        if rule is not None:
            server.capture = capture = CaptureWriter(rule, predictor.features, _lake)
        gc.freeze()  # what is loaded stays; the collector need not look at it at each turn
        server.predictor = predictor
        log.info("serving port=%d model=%s", container.port, container.model)
        stop.wait()
    finally:
        server.drain()
        accepting.join()
        if capture is not None:
            capture.close()
    log.info("stopped")


def _lake() -> Store:
    # Only endpoints that write their own capture pay for boto3.
    from tidemill_jobs.lake import Lake  # noqa: PLC0415

    return Lake()
