"""
One serving process's life, from loading its model to its last answer.

Loads numpy and onnxruntime only; boto3 too when it writes its own capture. Callers are let in at
once and told 503; when the model is loaded and has answered a row, it answers.
"""

import gc
import logging
import sys
import threading

from tidemill_jobs.capture.rule import Rule
from tidemill_jobs.capture.writer import CaptureWriter, Store
from tidemill_jobs.container import Container
from tidemill_jobs.predictor import Predictor
from tidemill_jobs.serving.door import Door
from tidemill_jobs.serving.server import Server

log = logging.getLogger(__name__)

SWITCH_SECONDS = 0.0005  # a large request holds up a small one for so long, each time they meet


def serve(container: Container, door: Door, stop: threading.Event) -> None:
    """
    Serve whom the door lets in until *stop* is set; answers under way are finished.

    Raises:
        JobError: The model or the rule of its capture cannot be read.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    rule = Rule.parse(container.capture) if container.capture else None
    server = Server(door, container.payload_bytes, container.cpus)
    accepting = threading.Thread(target=server.serve_forever)
    capture: CaptureWriter | None = None
    accepting.start()
    try:
        predictor = Predictor.load(container.model)
        predictor.warm()
        if rule is not None:
            server.capture = capture = CaptureWriter(rule, predictor.features, _lake)
        gc.freeze()  # what is loaded stays; the collector need not look at it at each turn
        if door.wait_for_go():
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
