"""One turn of the wheel as seen from outside: put a file, ask until another version answers."""

import json
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import rows
from botocore.exceptions import ClientError
from cloud import STACK, BenchError, Cloud

TURN_SECONDS = 300.0
ASK_EVERY = 0.1  # s; also how exactly the first answer is known
QUESTIONS = 20


@dataclass(frozen=True, slots=True)
class Turn:
    """When things happened in one turn; seconds since 1970."""

    put: float
    closed: float
    answered: float
    verified: float
    steps: dict[str, tuple[float, float]]  # by step: when it began and when it ended

    @property
    def seconds(self) -> float:
        """The turn time: from the delivery's closing to the first answer of the new version."""
        return self.answered - self.closed

    @property
    def parts(self) -> dict[str, float]:
        """The turn time cut at the ends of its steps; the parts add up to it."""
        prepare = self.steps.get("PrepareSmall") or self.steps["Prepare"]
        ends = {
            "decide, fix the dataset": prepare[0],
            "prepare": prepare[1],
            "train": self.steps["Train"][1],
            "evaluate": self.steps["Evaluate"][1],
            "register, approve": self.steps["Approve"][1],
            "roll out": self.answered,
        }
        found, began = {}, self.closed
        for name, end in ends.items():
            found[name], began = end - began, end
        return found


class Asker:
    """Asks a model's endpoint always the same rows; another version answers otherwise."""

    def __init__(self, cloud: Cloud, ref: str) -> None:
        self._client = cloud.client("sagemaker-runtime")
        self._endpoint = f"{STACK}--{ref.replace('/', '--')}"
        asked = rows.questions(rows.table(QUESTIONS, seed=0), QUESTIONS)
        self._body = json.dumps({"instances": asked}).encode()
        self.known: Any = None

    def until_new(self) -> float:
        """
        Ask until the answer is another than the known one; return when it came.

        Raises:
            BenchError: None came within five minutes.
        """
        deadline = time.monotonic() + TURN_SECONDS
        while time.monotonic() < deadline:
            answer = self._ask()
            if answer is not None and answer != self.known:
                self.known = answer
                return time.time()
            time.sleep(ASK_EVERY)
        raise BenchError(f"no new version answered within {TURN_SECONDS:.0f} s")

    def _ask(self) -> Any:
        try:
            answer = self._client.invoke_endpoint(
                EndpointName=self._endpoint, ContentType="application/json", Body=self._body
            )
        except ClientError:
            if self.known is None:
                return None  # the first version's endpoint is not there yet
            raise
        return json.loads(answer["Body"].read())["predictions"]


def turn(cloud: Cloud, ref: str, asker: Asker, body: bytes) -> Turn:
    """
    Put *body* as the model's one file, and wait until a version trained on it is verified.

    Raises:
        BenchError: The run or the rollout failed; the message holds the model's ledger.
    """
    cloud.put(ref, "rows.csv", body)
    put = time.time()
    try:
        answered = asker.until_new()
        cloud.tidemill("wait", ref, "--timeout", "5m")
    except BenchError as error:
        raise BenchError(f"{error}\n{cloud.tidemill('why', ref)}") from error
    entries = cloud.tidemill_json("why", ref)
    run = cloud.tidemill_json("runs", ref)[0]
    steps = cloud.tidemill_json("runs", run["run"])["steps"]
    return Turn(
        put=put,
        closed=_last(entries, "delivery", "close"),
        answered=answered,
        verified=_last(entries, "rollout", "in service"),
        steps={step["step"]: (at(step["started"]), at(step["finished"])) for step in steps},
    )


def at(text: str) -> float:
    """Return the seconds since 1970 of an ISO 8601 time."""
    return datetime.fromisoformat(text).timestamp()


def _last(entries: list[dict[str, Any]], kind: str, verdict: str) -> float:
    found = [
        at(item["at"]) for item in entries if (item["kind"], item["verdict"]) == (kind, verdict)
    ]
    return found[-1]
