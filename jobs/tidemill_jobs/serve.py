"""
Serve: an endpoint's processes, from SageMaker's `serve` to SIGTERM.

A process per processor, or as many as SAGEMAKER_MODEL_SERVER_WORKERS says: one is alone, several
have a parent. The port is open at once; /ping turns 200 when every process has answered a row.
"""

import logging
import signal
import socket
import threading
from collections.abc import Sequence
from types import FrameType

from tidemill_jobs.container import Container
from tidemill_jobs.serving.door import Channel, Port
from tidemill_jobs.serving.workers import OPTION, Workers

log = logging.getLogger(__name__)

ANY_ADDRESS = "0.0.0.0"  # noqa: S104  # SageMaker calls from outside the container
LOOPBACK = "127.0.0.1"


def main(container: Container, arguments: Sequence[str]) -> None:
    """
    Serve until SIGTERM or SIGINT; answers under way are finished.

    Raises:
        JobError: The model or a setting cannot be used, or workers die again and again.
    """
    if len(arguments) == 2 and arguments[0] == OPTION:  # noqa: PLR2004  # it and the channel's file
        _work(container, int(arguments[1]))
        return
    if arguments:
        log.warning("serve takes no arguments; ignored: %s", " ".join(arguments))
    host = ANY_ADDRESS if container.is_real else LOOPBACK
    if container.workers == 1:
        _serve_alone(container, host)
    else:
        Workers(host, container.port, container.workers).serve()


def _serve_alone(container: Container, host: str) -> None:
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    # Here, not above: a parent of workers needs neither numpy nor the model's runtime.
    from tidemill_jobs.serving.life import serve  # noqa: PLC0415

    serve(container, Port(host, container.port), stop)


def _work(container: Container, file: int) -> None:
    # Whoever signals all processes of the container means the parent, who tells its workers.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from tidemill_jobs.serving.life import serve  # noqa: PLC0415  # as above

    stop = threading.Event()
    serve(container, Channel(socket.socket(fileno=file), stop), stop)
