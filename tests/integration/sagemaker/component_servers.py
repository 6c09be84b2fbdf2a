"""Endpoints that host inference components, and the calls that put components on them."""

import json
import uuid

from .conftest import PATIENCE, ROLE
from .model_servers import Hosting, refused, said

NEEDS = {"NumberOfCpuCoresRequired": 1, "MinMemoryRequiredInMb": 512}


class Components(Hosting):
    """Deploys inference components with as few words as possible."""

    def host(self, *names, **request):
        """Create an endpoint whose variants have no models; return its name."""
        variants = [
            {"VariantName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
            for name in names or ("AllTraffic",)
        ]
        return self.endpoint(self.config(variants=variants, ExecutionRoleArn=ROLE, **request))

    def named(self, name):
        """Create a model that fake processes serve under a name."""
        return self.model(uri=self.shared_model(), Environment={"NAME": name})

    def shared_model(self):
        if not hasattr(self, "_uri"):
            self._uri = self.put_model()
        return self._uri

    def create(self, endpoint, model=None, *, copies=1, variant="AllTraffic", **specification):
        """Create a component, do not wait; return its name."""
        name = f"component-{uuid.uuid4().hex[:8]}"
        if "Container" not in specification:
            specification["ModelName"] = model or self.named("a")
        self.sagemaker.create_inference_component(
            InferenceComponentName=name,
            EndpointName=endpoint,
            VariantName=variant,
            Specification={"ComputeResourceRequirements": NEEDS, **specification},
            RuntimeConfig={"CopyCount": copies},
        )
        return name

    def component(self, endpoint, model=None, **words):
        """Create a component that serves; return its name."""
        name = self.create(endpoint, model, **words)
        described = self.come_to_rest(name)
        assert described["InferenceComponentStatus"] == "InService", described["FailureReason"]
        return name

    def come_to_rest(self, name):
        """Wait until a component changes no more; return its description, None when deleted."""
        busy = {"Creating", "Updating", "Deleting"}
        body = self.cloud.service.context.store.wait_for(
            "InferenceComponent",
            name,
            lambda b: b is None or b["InferenceComponentStatus"] not in busy,
            PATIENCE,
        )
        if body is None:
            return None
        return self.sagemaker.describe_inference_component(InferenceComponentName=name)

    def ask(self, endpoint, component, body=b"hello", **request):
        return said(self.invoke(endpoint, body, InferenceComponentName=component, **request))

    def serves(self, endpoint, component, model):
        """Say whether a component answers by now, with its model's name."""
        path = f"/endpoints/{endpoint}/invocations"
        asked = {"X-Amzn-SageMaker-Inference-Component": component}
        status, _, body = self.cloud.service.invoke("POST", path, asked, b"")
        assert status in {200, 503}
        return status == 200 and json.loads(body)["model"] == model

    def delete(self, component):
        self.sagemaker.delete_inference_component(InferenceComponentName=component)
        assert self.come_to_rest(component) is None

    def refuses(self, says, endpoint, **request):
        refused(
            self.runtime.invoke_endpoint,
            says,
            code="ValidationError",
            EndpointName=endpoint,
            Body=b"",
            **request,
        )
