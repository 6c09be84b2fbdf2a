"""An endpoint over a model that tests can hold up, and a way to ask it."""

import threading
from contextlib import contextmanager

from tidemill_jobs.features import Column, Features, Target, transform_rows
from tidemill_jobs.predictor import describe
from tidemill_jobs.serving.door import Port
from tidemill_jobs.serving.server import Server

QUICK, SLOW = 0.0, 1.0  # what a row costs: the loop predicts it, or a thread
FEATURES = Features(
    problem="regression",
    target=Target("delay", ()),
    header=("wind", "origin"),
    columns=(
        Column("wind", "number", ("wind",)),
        Column("origin", "category", ("origin",), categories=("Oslo",)),
    ),
    dropped=(),
    notes=(),
)


class Echo:
    """A model whose score is the wind; it can be held up, and knows what it was asked."""

    features = FEATURES

    def __init__(self, row_seconds=QUICK):
        self.row_seconds = row_seconds
        self.go = threading.Event()
        self.go.set()
        self.entered = threading.Event()
        self.asked = []

    def predict(self, rows):
        self.asked.append(len(rows))
        self.entered.set()
        self.go.wait(10)
        if any(row.get("origin") == "crash" for row in rows):
            raise RuntimeError("boom")
        return describe(FEATURES, transform_rows(FEATURES, rows).numeric)


@contextmanager
def serving(predictor, payload_bytes=1_000, threads=4):
    door = Port("127.0.0.1", 0)
    running = Server(door, payload_bytes, threads)
    running.door, running.server_address = door, door.address
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    running.predictor = predictor
    yield running
    running.drain()
    thread.join(10)
    assert not thread.is_alive()


def call(
    connection, body=b"7,Oslo\n", kind="text/csv", method="POST", path="/invocations", **headers
):
    connection.request(method, path, body, {"Content-Type": kind, **headers})
    answer = connection.getresponse()
    return answer.status, answer.read(), answer
