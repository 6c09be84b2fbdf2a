"""Serving processes without processes: what is tested is who is asked, not how it starts."""

import json
import threading
from email.message import Message

from tidemill_local.sagemaker.hosting import deployments, multi_model
from tidemill_local.sagemaker.hosting.model_client import ContainerAnswer
from tidemill_local.sagemaker.hosting.serving import ServingError


class FakeClient:
    """Answers with the model's name; `fail 500` and `hold` are obeyed."""

    def __init__(self, process):
        self._process = process

    def send(self, request):
        text = request.body.decode("latin-1")
        if text == "hold":
            self._process.held.wait(30)
        status = int(text.split()[1]) if text.startswith("fail ") else 200
        said = {
            "model": self._process.name,
            "length": len(request.body),
            "instance": self._process.directory.name,
            "path": request.path,
            "headers": {name.lower(): value for name, value in request.headers.items()},
        }
        headers = Message()
        headers["Content-Type"] = "application/json"
        return ContainerAnswer(status, headers, json.dumps(said).encode())


class FakeProcess:
    """Stands in for ServingProcess; `BROKEN` in its environment keeps it from starting."""

    #: The processes that run, newest last; models that cannot start from now on.
    alive: list["FakeProcess"]
    broken: set[str]

    def __init__(self, context, workload, directory):
        self.workload = workload
        self.directory = directory
        self.held = threading.Event()
        self.client = None

    def start(self):
        if self.name in self.broken:
            raise ServingError(f"model {self.name} is broken")
        self.client = FakeClient(self)
        self.alive.append(self)

    @property
    def name(self):
        """The model's name: in its environment, or the last part of its URI."""
        return self.workload.environment.get("NAME") or self.workload.model_data.rpartition("/")[2]

    @property
    def running(self):
        return self in self.alive

    def cancel(self):
        """Nothing starts that could be cancelled."""

    def stop(self):
        self.held.set()
        self.client = None
        if self in self.alive:
            self.alive.remove(self)


class FakeCloudWatch:
    """Alarms whose states a test sets; metrics that were put."""

    def __init__(self):
        self.states = {}
        self.error = None
        self.put = []

    def describe_alarms(self, AlarmNames, AlarmTypes):
        assert AlarmTypes == ["MetricAlarm", "CompositeAlarm"]
        if self.error is not None:
            raise self.error
        found = [
            {"AlarmName": name, "StateValue": self.states[name]}
            for name in AlarmNames
            if name in self.states
        ]
        return {"MetricAlarms": found, "CompositeAlarms": []}

    def put_metric_data(self, Namespace, MetricData):
        self.put += [(Namespace, datum) for datum in MetricData]


def use_fake_processes(monkeypatch):
    """Have endpoints served by `FakeProcess` for the rest of a test; return the class."""
    process = type("Process", (FakeProcess,), {"alive": [], "broken": set()})
    monkeypatch.setattr(multi_model, "ServingProcess", process)
    monkeypatch.setattr(deployments, "ServingProcess", process)
    return process
