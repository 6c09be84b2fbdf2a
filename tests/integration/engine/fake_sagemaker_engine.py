"""
The engine with a SageMaker that finishes its jobs when a test says so.

Run as a script: `fake_sagemaker_engine.py --port N --state DIR`. A job named `…fails…` fails, one
named `…hangs…` runs until it is stopped, all others complete after a tenth of a second.
"""

import argparse
import importlib
import json
import os
import threading
from pathlib import Path

from tidemill_local import environment
from tidemill_local.state_directory import StateDirectory

CREATED = 1_700_000_000.25  # epoch seconds


class FakeSageMaker:
    def __init__(self, *, root, endpoint_url, account, region, emit):
        self._arn = f"arn:aws:sagemaker:{region}:{account}"
        self._emit = emit
        self._jobs = {}
        self._lock = threading.Lock()

    def start(self):
        pass

    def stop(self):
        pass

    def handle(self, operation, body):
        request = json.loads(body)
        for kind in ("ProcessingJob", "TrainingJob"):
            if operation == f"Create{kind}":
                return self._create(kind, request)
            if operation == f"Describe{kind}":
                return self._answer(self._jobs[request[f"{kind}Name"]])
            if operation == f"Stop{kind}":
                self._end(kind, request[f"{kind}Name"], "Stopped")
                return self._answer({})
        if operation == "CreateModel":
            return self._answer({"ModelArn": f"{self._arn}:model/{request['ModelName']}"})
        return self._refuse("ValidationException", f"{operation} is not known here")

    def invoke(self, method, path, headers, body):
        answer = {"method": method, "path": path, "body": body.decode()}
        named = {"Content-Type": "application/json", "x-Amzn-Invoked-Production-Variant": "blue"}
        return 200, named, json.dumps(answer).encode()

    def _create(self, kind, request):
        name = request[f"{kind}Name"]
        with self._lock:
            if name in self._jobs:
                return self._refuse("ResourceInUse", f"{name} exists")
            arn = f"{self._arn}:{kind.lower()}/{name}"
            self._jobs[name] = {
                f"{kind}Name": name, f"{kind}Arn": arn, f"{kind}Status": "InProgress",
                "CreationTime": CREATED,
            }  # fmt: skip
        if "hangs" not in name:
            status = "Failed" if "fails" in name else "Completed"
            threading.Timer(0.1, self._end, (kind, name, status)).start()
        return self._answer({f"{kind}Arn": arn})

    def _end(self, kind, name, status):
        job = self._jobs[name]
        job[f"{kind}Status"] = status
        if status == "Failed":
            job["FailureReason"] = "AlgorithmError: one class only"
        word = {"ProcessingJob": "Processing Job", "TrainingJob": "Training Job"}[kind]
        self._emit(f"SageMaker {word} State Change", dict(job), [job[f"{kind}Arn"]])

    @staticmethod
    def _answer(document):
        return 200, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(document).encode()

    @staticmethod
    def _refuse(code, message):
        body = json.dumps({"__type": code, "message": message}).encode()
        return 400, {"x-amzn-ErrorType": code, "x-amzn-RequestId": "r-1"}, body


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state", type=Path, required=True)
    chosen = parser.parse_args()
    state = StateDirectory(chosen.state)
    state.create()
    with state.owned(chosen.port) as owner:
        environment.enter(environment.engine_environment(state, chosen.port, os.environ))
        server = importlib.import_module("tidemill_local.engine.server")
        server.Engine(state, owner, make_service=FakeSageMaker).run()


if __name__ == "__main__":
    main()
