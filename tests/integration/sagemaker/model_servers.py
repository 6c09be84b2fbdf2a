"""Images that serve, archives that hold models, and the calls that put them in service."""

import io
import json
import tarfile
import time
import uuid
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from .conftest import PATIENCE, ROLE

# Answers with what it was given; some bodies make it misbehave.
ECHO = """
    import http.server, json, os, pathlib, sys, time

    MODEL = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"], "model")
    NAME = (MODEL / "name.txt").read_text()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self):
            self.answer(200, b"")

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            text = body.decode("latin-1")
            if text == "die":
                os._exit(3)
            if text.startswith("sleep "):
                time.sleep(float(text.split()[1]))
            if text.startswith("fail "):
                return self.answer(int(text.split()[1]), b"the model is unwell")
            if text == "png":
                return self.answer(200, bytes([0x89, 0x50, 0xff]), "image/png")
            if text.startswith("1,"):
                return self.answer(200, b"0.5", "text/csv; charset=utf-8")
            said = {
                "model": NAME,
                "text": text[:100],
                "length": len(body),
                "pid": os.getpid(),
                "env": os.environ.get("GIVEN"),
                "argv": sys.argv[1:],
                "headers": {k.lower(): v for k, v in self.headers.items()},
            }
            self.answer(200, json.dumps(said).encode(), "application/json")

        def answer(self, status, body, content_type="text/plain"):
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Amzn-SageMaker-Custom-Attributes", "seen=yes")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    print("loaded", NAME, flush=True)
    port = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
    http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""
BROKEN = """
    import sys
    print("reading the model", flush=True)
    sys.exit("ValueError: this is no ONNX file")
"""
SICK = """
    import http.server, os

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(503)

        def log_message(self, *_):
            print("asked", flush=True)

    port = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
    http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""
CSV_AND_JSON = {
    "CsvContentTypes": ["text/csv"],
    "JsonContentTypes": ["application/json"],
}


def archive(entries):
    """Return a model.tar.gz of these (name, bytes or tarfile.SYMTYPE) entries."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in entries:
            info = tarfile.TarInfo(name)
            if content != tarfile.SYMTYPE:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
            else:
                info.type, info.linkname = content, "name.txt"
                tar.addfile(info)
    return buffer.getvalue()


class Hosting:
    """Deploys models of one bucket on one cloud, with as few words as possible."""

    def __init__(self, cloud, s3, bucket):
        self.cloud = cloud
        self.sagemaker = cloud.sagemaker
        self.runtime = cloud.runtime
        self._s3 = s3
        self.bucket = bucket
        self.echo = cloud.image(ECHO)

    def put_model(self, content=None, name="a"):
        """Upload an archive; return its URI."""
        key = f"models/{uuid.uuid4().hex}/model.tar.gz"
        body = content or archive([("name.txt", name.encode())])
        self._s3.put_object(Bucket=self.bucket, Key=key, Body=body)
        return f"s3://{self.bucket}/{key}"

    def model(self, name="a", image=None, uri=None, **container):
        """Create a model whose answers carry *name*; return SageMaker's name for it."""
        model = f"model-{uuid.uuid4().hex[:8]}"
        self.sagemaker.create_model(
            ModelName=model,
            ExecutionRoleArn=ROLE,
            PrimaryContainer={
                "Image": image or self.echo,
                "ModelDataUrl": uri or self.put_model(name=name),
                **container,
            },
        )
        return model

    def config(self, model=None, variants=None, **request):
        """Create an endpoint configuration; return its name."""
        name = f"config-{uuid.uuid4().hex[:8]}"
        self.sagemaker.create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=variants or [self.variant(model or self.model())],
            **request,
        )
        return name

    @staticmethod
    def variant(model, name="AllTraffic", count=1, **fields):
        return {
            "VariantName": name,
            "ModelName": model,
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": count,
            **fields,
        }

    def endpoint(self, config=None, **request):
        """Create an endpoint and wait for it to be in service; return its name."""
        name = request.pop("EndpointName", f"endpoint-{uuid.uuid4().hex[:8]}")
        self.sagemaker.create_endpoint(
            EndpointName=name, EndpointConfigName=config or self.config(), **request
        )
        described = self.settled(name)
        assert described["EndpointStatus"] == "InService", described.get("FailureReason")
        return name

    def settled(self, name):
        """Wait until an endpoint changes no more; return its description, None when deleted."""
        busy = {"Creating", "Updating", "Deleting"}
        store = self.cloud.service.context.store
        body = store.wait_for(
            "Endpoint", name, lambda b: b is None or b["EndpointStatus"] not in busy, PATIENCE
        )
        if body is None:
            return None
        assert body["EndpointStatus"] not in busy
        return self.sagemaker.describe_endpoint(EndpointName=name)

    def invoke(self, endpoint, body=b"hello", **request):
        answer = self.runtime.invoke_endpoint(EndpointName=endpoint, Body=body, **request)
        with answer["Body"] as stream:
            return answer | {"Body": stream.read()}


def gone(pid):
    """Say whether a process has ended (Linux)."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


def said(answer):
    """Return what the echo model said."""
    return json.loads(answer["Body"])


def statuses(cloud, name):
    """Return the statuses that the events about an endpoint told, in order."""
    return [detail["EndpointStatus"] for detail in cloud.details("Endpoint", name)]


def ask_once(hosting, name):
    """Return the answer, or None while the runtime says that it is not available."""
    path = f"/endpoints/{name}/invocations"
    status, _, body = hosting.cloud.service.invoke("POST", path, {}, b"")
    assert status in {200, 503}
    return json.loads(body) if status == 200 else None


def serves(hosting, name, model):
    answer = ask_once(hosting, name)
    return answer is not None and answer["model"] == model


def refused(call, says, code="ValidationException", **request):
    with pytest.raises(ClientError) as raised:
        call(**request)
    error = raised.value.response["Error"]
    assert error["Code"] == code
    assert says in error["Message"]
