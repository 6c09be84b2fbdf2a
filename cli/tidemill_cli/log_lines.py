"""What CloudWatch Logs holds of a run: its jobs' streams, and its functions' lines. Reads only."""

import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from tidemill.adapters.runs import GOING
from tidemill.times import iso
from tidemill_cli.stack import Stack
from tidemill_cli.timeline import Step, is_gone, log_of, steps_of

#: The stack's functions share one log group; so many pages of it are searched for a run's id.
MOST_PAGES = 50
#: Functions write before a run's record says that it began, and after it says that it ended.
SECONDS_AROUND = 300.0
#: What every line of powertools has; the rest is what the function itself had to say.
_KNOWN = frozenset(
    {
        *("level", "message", "timestamp", "location", "service", "function_name", "requestId"),
        *("function_memory_size", "function_arn", "function_request_id", "cold_start"),
        *("exception", "exception_name", "stack_trace", "xray_trace_id", "time", "type"),
        *("errorMessage", "errorType", "stackTrace"),
    }
)
#: In a shared group a stream is called `2026/11/20/<function>[<version>]<instance>`.
_STREAM = re.compile(r"(?:\d+/\d+/\d+/)?(?P<function>[^\[/]+)\[")
#: States called otherwise than their functions: what people call the step, and the function.
_CALLED = {
    "PrepareSmall": ("Prepare", "PrepareDataset"),
    "Approve": ("Approve", "JudgeVersion"),
    "CloseFailedRun": ("CloseFailedRun", "CloseRun"),
}
#: Functions that do a step's work themselves: all that their calls of the run wrote is shown.
_WORKERS = frozenset({"PrepareDataset"})
_MARKS = ("START RequestId: ", "END RequestId: ")  # Lambda's own; its REPORT says time and memory
_FUNCTION = re.compile(r"(?:.*-)?(?P<step>[A-Z]\w+?)Function(?:-\w+)?$")


@dataclass(frozen=True, slots=True)
class Line:
    """One line. *at* is in seconds since 1970; *said* is for people, *text* is as logged."""

    at: float
    said: str
    text: str


@dataclass(slots=True)
class Part:
    """The lines of one step."""

    step: str
    status: str
    reason: str | None
    group: str
    job: str | None
    lines: list[Line] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return it as scripts get it."""
        return {
            "step": self.step,
            "status": self.status,
            "reason": self.reason,
            "group": self.group,
            "job": self.job,
            "lines": [{"at": iso(line.at), "text": line.text} for line in self.lines],
        }


class RunLogs:
    """One run's logs, as they are at the moment of asking."""

    def __init__(self, stack: Stack, ref: str, record: Mapping[str, Any]) -> None:
        self._stack = stack
        self._ref = ref
        self._record = record
        self.notes: list[str] = []

    @property
    def run(self) -> str:
        """The run's id."""
        return str(self._record["run"])

    @property
    def status(self) -> str:
        """How it goes, or went."""
        return str(self._record["status"])

    @property
    def reason(self) -> str | None:
        """Why it ended so."""
        return self._record.get("reason")

    def refresh(self) -> bool:
        """Read the run's record again, and say whether it is still going."""
        self._record = self._stack.stores.runs.get(self._ref, self.run)
        return self._record["status"] in GOING

    def parts(self, tail: int) -> list[Part]:
        """
        Return the run's steps in order, each with its last *tail* lines.

        A function that no step of the workflow calls stands where it first wrote: before the
        steps the one that started the run, at the end those that recorded its outcome.
        """
        self.notes = []
        steps = steps_of(self._stack, self._record)
        group = self._stack.resource("Logs") or ""
        parts = [self._part(step, group, tail) for step in steps]
        by_function = {
            _CALLED.get(step.step, (None, step.step))[1]: part
            for part, step in zip(parts, steps, strict=True)
            if part.job is None
        }
        others: dict[str, Part] = {}
        for function, line in self._of_functions(group, steps):
            part = by_function.get(function) or others.setdefault(
                function, Part(function, "function", None, group, None)
            )
            part.lines.append(line)
        for part in (*by_function.values(), *others.values()):
            part.lines = sorted(part.lines, key=lambda line: line.at)[-tail:]
        starts = {id(part): step.started or 0.0 for part, step in zip(parts, steps, strict=True)}
        starts |= {id(part): part.lines[0].at for part in others.values()}
        return sorted((*parts, *others.values()), key=lambda part: starts[id(part)])

    def _part(self, step: Step, functions: str, tail: int) -> Part:
        group, job = log_of(step.job) if step.job else (None, None)
        name, _ = _CALLED.get(step.step, (step.step, None))
        part = Part(name, step.status, step.reason, group or functions, job)
        if group and job:
            lines = sorted(self._of_job(group, job, tail), key=lambda line: line.at)
            part.lines = lines[-tail:]
        return part

    def _of_job(self, group: str, job: str, tail: int) -> list[Line]:
        """Return the last lines of each of a job's instances."""
        logs = self._stack.clients.logs
        found: list[Line] = []
        try:
            pages = logs.get_paginator("describe_log_streams").paginate(
                logGroupName=group, logStreamNamePrefix=f"{job}/"
            )
            for stream in (stream for page in pages for stream in page["logStreams"]):
                events = logs.get_log_events(
                    logGroupName=group,
                    logStreamName=stream["logStreamName"],
                    startFromHead=False,
                    limit=tail,
                )["events"]
                found += [_plain(event) for event in events]
        except ClientError as error:
            if not is_gone(error):
                raise
        return found

    def _of_functions(self, group: str, steps: Iterable[Step]) -> Iterator[tuple[str, Line]]:
        """Yield the lines that name the run, or a call that failed or worked for it."""
        known: set[tuple[str, int, str]] = set()
        calls = {
            step.request: _CALLED.get(step.step, (None, step.step))[1]
            for step in steps
            if step.request
        }
        for event in self._search(group, self.run):
            known.add(_identity(event))
            function = _function(event)
            call = _document(event["message"]).get("function_request_id")
            if call and function in _WORKERS:
                calls[call] = function
            yield function, _told(event)
        for call, function in calls.items():
            found = [
                event
                for event in self._search(group, call)
                if _identity(event) not in known and not event["message"].startswith(_MARKS)
            ]
            known.update(map(_identity, found))
            yield from ((function, _told(event)) for event in found)

    def _search(self, group: str, term: str) -> Iterator[Mapping[str, Any]]:
        """Yield the events of the run's time that hold *term*."""
        if not group:
            return
        began = self._record["started_at"]
        ended = self._record.get("finished_at") or time.time()
        pages = self._stack.clients.logs.get_paginator("filter_log_events").paginate(
            logGroupName=group,
            filterPattern=f'"{term}"',
            startTime=round((began - SECONDS_AROUND) * 1000),
            endTime=round((ended + SECONDS_AROUND) * 1000),
        )
        try:
            for number, page in enumerate(pages, 1):
                yield from page["events"]
                if number == MOST_PAGES and page.get("nextToken"):
                    self.notes.append(
                        f"{group} is large: only its first {MOST_PAGES} pages of that time were "
                        "searched for lines of functions"
                    )
                    return
        except ClientError as error:
            if not is_gone(error):
                raise


def _identity(event: Mapping[str, Any]) -> tuple[str, int, str]:
    """Return what two searches know a line by; the local cloud gives lines no `eventId`."""
    return event.get("logStreamName", ""), event["timestamp"], event["message"]


def _plain(event: Mapping[str, Any]) -> Line:
    text = event["message"].rstrip("\n")
    return Line(event["timestamp"] / 1000, text, text)


def _function(event: Mapping[str, Any]) -> str:
    """Return which function wrote *event*, called as in template.yaml: `DecideTrigger`."""
    stream = _STREAM.match(event.get("logStreamName", ""))
    name = _document(event["message"]).get("function_name") or (stream and stream["function"])
    found = _FUNCTION.match(str(name or ""))
    return found["step"] if found else str(name or "function")


def _told(event: Mapping[str, Any]) -> Line:
    """Return a function's line: its JSON as level, message, and what it said besides."""
    text = event["message"].rstrip("\n")
    document = _document(text)
    message = document.get("message") or document.get("errorMessage")
    if not message:
        return Line(event["timestamp"] / 1000, text, text)
    if not isinstance(message, str):
        message = json.dumps(message)
    level = str(document.get("level", "ERROR" if "errorMessage" in document else "INFO"))
    rest = [f"{key}={value}" for key, value in document.items() if key not in _KNOWN]
    said = " ".join([level, message, *rest])
    trace = document.get("exception") or document.get("stackTrace")
    if trace:
        lines = trace if isinstance(trace, list) else str(trace).splitlines()
        said += "".join(f"\n    {str(line).rstrip()}" for line in lines)
    return Line(event["timestamp"] / 1000, said, text)


def _document(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
