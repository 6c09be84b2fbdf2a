"""
Requests for predictions, from body to answer: whatever is wrong with one is its alone.

Requests that come at the same time are predicted together: a call of the model costs several times
what a further row of it costs. Reading and predicting may run in different threads, one after the
other.
"""

import logging
import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from itertools import islice
from typing import TypeVar

from tidemill_jobs.capture.writer import Answered, CaptureWriter
from tidemill_jobs.errors import ValueRefusedError
from tidemill_jobs.payload import (
    Prediction,
    Request,
    RequestRefusedError,
    Row,
    negotiate,
    parse,
    render,
)
from tidemill_jobs.predictor import Predictor
from tidemill_jobs.serving.http1 import Answer, refusal

Done = TypeVar("Done")

log = logging.getLogger(__name__)

INFERENCE_ID = "x-amzn-sagemaker-inference-id"
NOTHING = Request([], "list")
ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"


class Invocation:
    """A request that came whole; `headers` by lower-case name."""

    def __init__(
        self,
        predictor: Predictor,
        capture: CaptureWriter | None,
        headers: dict[str, str],
        body: bytes,
    ) -> None:
        self.predictor = predictor
        self._capture = capture
        self._headers = headers
        self.body = body
        self._asked = time.time()
        self._request = NOTHING
        self._kind = self._accepted = ""

    @property
    def rows(self) -> list[Row]:
        """The rows, once they are read."""
        return self._request.rows

    @property
    def seconds(self) -> float:
        """What the answer will cost, once the rows are read."""
        return len(self.rows) * self.predictor.row_seconds

    def read(self) -> Answer | None:
        """Read the rows; return an answer only when they cannot be read."""
        return _attempt(self._read)

    def predict(self) -> Answer:
        """Answer the rows that were read."""
        return _attempt(lambda: self._say(self.predictor.predict(self.rows)))

    def tell(self, predictions: list[Prediction]) -> Answer:
        """Answer with what the rows' predictions are."""
        return _attempt(lambda: self._say(predictions))

    def answer(self) -> Answer:
        """Do both."""
        return self.read() or self.predict()

    def _read(self) -> None:
        content_type = self._headers.get("content-type", "")
        self._kind, self._accepted = negotiate(content_type, self._headers.get("accept", ""))
        self._request = parse(self._kind, self.body, self.predictor.features)

    def _say(self, predictions: list[Prediction]) -> Answer:
        said = render(self._accepted, predictions, self._request.shape)
        if self._capture is not None:
            self._capture.record(
                Answered(
                    content_type=self._headers.get("content-type", ""),
                    kind=self._kind,
                    body=self.body,
                    rows=self.rows,
                    answer_type=f"{self._accepted}; charset=utf-8",
                    answer=said,
                    time=self._asked,
                    inference_id=self._headers.get(INFERENCE_ID, ""),
                    custom_attributes=self._headers.get(ATTRIBUTES, ""),
                )
            )
        return Answer(HTTPStatus.OK, self._accepted, said)


def predict_together(invocations: Sequence[Invocation]) -> list[Answer]:
    """Answer several requests to one model whose rows were read, in their order."""
    if len(invocations) == 1:
        return [invocations[0].predict()]
    rows = [row for invocation in invocations for row in invocation.rows]
    try:
        predictions = iter(invocations[0].predictor.predict(rows))
    except Exception:  # noqa: BLE001  # each finds out for itself whether it is at fault
        return [invocation.predict() for invocation in invocations]
    return [each.tell([*islice(predictions, len(each.rows))]) for each in invocations]


def _attempt(step: Callable[[], Done]) -> Done | Answer:
    try:
        return step()
    except RequestRefusedError as exc:
        return refusal(exc.status, str(exc))
    except ValueRefusedError as exc:
        return refusal(HTTPStatus.BAD_REQUEST, str(exc))
    except Exception:
        log.exception("prediction_failed")
        return refusal(
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "The prediction failed; the endpoint's log has the details.",
        )
