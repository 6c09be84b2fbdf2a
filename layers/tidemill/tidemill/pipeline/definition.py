"""
The SageMaker pipeline of a model, emitted from its compiled spec.

    Train → Evaluate → Gate ─┬─ Register (pending approval)
                             └─ Refuse   (Failed, with a sentence)

The same spec gives the same text, so that an apply can show what changes in it. Prepare runs
before the pipeline: `prepare_job.py`.
"""

import json
from dataclasses import dataclass
from typing import Any, Protocol

from tidemill.names import aws_name
from tidemill.pipeline.expressions import Join, JsonGet, Parameter, Property, Text
from tidemill.pipeline.request_parts import Channel, Input, Output
from tidemill.pipeline.steps import (
    Comparison,
    Condition,
    ConditionStep,
    FailStep,
    ProcessingStep,
    PropertyFile,
    RegisterModelStep,
    TrainingStep,
)
from tidemill.spec.compiled import Spec

RUN_ID = Parameter("RunId")
PREPARED_URI = Parameter("PreparedUri")
DATASET_HASH = Parameter("DatasetHash")
MINIMUM_METRIC = "MinimumMetric"  # each model's definition has its own default

PARQUET = "application/x-parquet"
ACCEPTED = ("application/json", "application/jsonlines", "text/csv")
ANSWERED = ("application/json", "application/jsonlines", "text/csv")

#: (as good as the minimum, better than the trivial predictor), by the metric's direction.
_COMPARISONS: dict[str, tuple[Comparison, Comparison]] = {
    "maximize": ("GreaterThanOrEqualTo", "GreaterThan"),
    "minimize": ("LessThanOrEqualTo", "LessThan"),
}


class Installed(Protocol):
    """What the settings of whoever defines a pipeline say of the stack."""

    @property
    def stack_name(self) -> str:
        """Its name, the first part of every AWS name."""

    @property
    def artifact_bucket(self) -> str:
        """Where models and evaluations go."""

    @property
    def lake_bucket(self) -> str:
        """Where uploads and prepared data are."""

    @property
    def jobs_image_uri(self) -> str:
        """The jobs image."""

    @property
    def execution_role_arn(self) -> str:
        """The role that the jobs run as."""


def define(spec: Spec, installed: Installed, *, by: str) -> str:
    """Return the model's pipeline, as `emit`; the ARN of the function *by* says where it runs."""
    _, partition, _, region, account, *_ = by.split(":")
    return emit(
        spec,
        stack=installed.stack_name,
        partition=partition,
        region=region,
        account=account,
        artifact_bucket=installed.artifact_bucket,
        lake_bucket=installed.lake_bucket,
        image_uri=installed.jobs_image_uri,
        role_arn=installed.execution_role_arn,
    )


def run_parameters(spec: Spec, *, run_id: str, dataset: str) -> list[dict[str, Any]]:
    """Return what one run's execution is started with; `PreparedUri` is known once it is."""
    values = {
        RUN_ID.name: run_id,
        DATASET_HASH.name: dataset,
        MINIMUM_METRIC: repr(spec.evaluate.minimum),
    }
    return [{"Name": name, "Value": value} for name, value in values.items()]


def emit(
    spec: Spec,
    *,
    stack: str,
    partition: str,
    region: str,
    account: str,
    artifact_bucket: str,
    lake_bucket: str,
    image_uri: str,
    role_arn: str,
) -> str:
    """
    Return the pipeline definition, JSON of version 2020-12-01.

    Its parameters are `RunId`, `PreparedUri` (where Prepare wrote; no slash at the end),
    `DatasetHash`, and `MinimumMetric`, which defaults to the spec's.

    Args:
        spec: The model.
        stack: The CloudFormation stack's name, the first part of every AWS name.
        partition: `aws`, `aws-cn`, …
        region: Where the pipeline runs.
        account: Whose pipeline it is, 12 digits.
        artifact_bucket: Where models and evaluations go; only automation writes there.
        lake_bucket: Where uploads and prepared data are.
        image_uri: The jobs image, with its tag or digest.
        role_arn: The role that the jobs run as.

    Raises:
        ValueError: The image, the role or the buckets cannot be those of this stack.
    """
    _check_role(role_arn, partition, account)
    _check_image(image_uri, region)
    _check_buckets(artifact_bucket, lake_bucket)
    model = _Model(spec, stack, artifact_bucket, image_uri, role_arn)
    document = {
        "Version": "2020-12-01",
        "Metadata": {},
        "Parameters": [
            parameter.declaration()
            for parameter in (RUN_ID, PREPARED_URI, DATASET_HASH, model.minimum)
        ],
        "Steps": [step.definition() for step in (model.train(), model.evaluate(), model.gate())],
    }
    return json.dumps(document, indent=2)


def _check_role(role_arn: str, partition: str, account: str) -> None:
    """Refuse now what SageMaker would refuse only when the first run has prepared its data."""
    roles = f"arn:{partition}:iam::{account}:role/"
    if not role_arn.startswith(roles):
        raise ValueError(f"the role {role_arn} is not one of this account ({roles}…); correct it")


def _check_image(image_uri: str, region: str) -> None:
    registry = image_uri.partition("/")[0]
    if f".{region}." not in registry:
        raise ValueError(
            f"the image {image_uri} is not in a registry of {region}, and SageMaker pulls from "
            "its own region only; push it there"
        )


def _check_buckets(artifact_bucket: str, lake_bucket: str) -> None:
    if artifact_bucket == lake_bucket:
        raise ValueError(
            f"{artifact_bucket} cannot be lake and artifact bucket at once: whoever uploads data "
            "could replace models; give two"
        )


@dataclass(frozen=True, slots=True)
class _Model:
    """The steps of one model's pipeline."""

    spec: Spec
    stack: str
    bucket: str
    image: str
    role: str

    @property
    def minimum(self) -> Parameter:
        return Parameter(MINIMUM_METRIC, "Float", float(self.spec.evaluate.minimum))

    @property
    def tags(self) -> dict[str, Text]:
        return {
            "stack": self.stack,
            "project": self.spec.project,
            "model": self.spec.model,
            "run": RUN_ID,
        }

    def artifacts(self, zone: str, *rest: str) -> Join:
        """Return `s3://<bucket>/<zone>/<project>/<model>/<run>[/…]`."""
        start = f"s3://{self.bucket}/{zone}/{self.spec.ref}"
        return Join((start, RUN_ID, *rest), on="/")

    def train(self) -> TrainingStep:
        train = self.spec.train
        return TrainingStep(
            name="Train",
            image=self.image,
            role=self.role,
            hyperparameters={
                **train.hyperparameters,
                "problem": train.problem,
                "metric": self.spec.evaluate.metric,
                "seed": str(self.spec.prepare.seed),
            },
            channels=(
                Channel("train", _prepared("train.manifest"), PARQUET),
                Channel("validation", _prepared("validation.manifest"), PARQUET),
                Channel("features", _prepared("features.manifest"), "application/json"),
            ),
            output=self.artifacts("models"),
            compute=train.compute,
            tags=self.tags,
        )

    def evaluate(self) -> ProcessingStep:
        metric = self.spec.evaluate
        return ProcessingStep(
            name="Evaluate",
            image=self.image,
            role=self.role,
            entrypoint=("python", "-m", "tidemill_jobs", "evaluate"),
            arguments=(
                "--metric",
                metric.metric,
                "--direction",
                metric.direction,
                # One word: a parser takes -1e+30 on its own for an option.
                Join(("--minimum=", self.minimum)),
            ),
            inputs=(
                Input("model", _MODEL_DATA),
                Input("test", _prepared("test.manifest"), "ManifestFile"),
                Input("smoke", _prepared("smoke.manifest"), "ManifestFile"),
                Input("baseline", _prepared("baseline.manifest"), "ManifestFile"),
            ),
            outputs=(
                Output("evaluation", self.artifacts("pipelines", "evaluation")),
                Output("baseline", self.artifacts("pipelines", "baseline")),
            ),
            property_files=(PropertyFile("Evaluation", "evaluation", "evaluation.json"),),
            compute=self.spec.train.compute,
            tags=self.tags,
        )

    def gate(self) -> ConditionStep:
        good_enough, better = _COMPARISONS[self.spec.evaluate.direction]
        return ConditionStep(
            name="Gate",
            conditions=(
                Condition(good_enough, _evaluation("metric.value"), self.minimum),
                Condition(better, _evaluation("metric.value"), _evaluation("metric.trivial")),
            ),
            then=(self._register(),),
            otherwise=(self._refuse(),),
        )

    def _register(self) -> RegisterModelStep:
        spec = self.spec
        return RegisterModelStep(
            name="Register",
            group=aws_name(self.stack, spec.project, spec.model),
            image=self.image,
            model_data=_MODEL_DATA,
            content_types=ACCEPTED,
            response_types=ANSWERED,
            instances=(spec.deploy.instance,),
            quality=self.artifacts("pipelines", "evaluation", "evaluation.json"),
            data_statistics=self.artifacts("pipelines", "baseline", "statistics.json"),
            data_constraints=self.artifacts("pipelines", "baseline", "constraints.json"),
            metadata={
                "project": spec.project,
                "model": spec.model,
                "run": RUN_ID,
                "dataset": DATASET_HASH,
            },
        )

    def _refuse(self) -> FailStep:
        metric = self.spec.evaluate
        bound = "at least" if metric.direction == "maximize" else "at most"
        rule = f"Refused: {metric.metric} on the test rows must be {bound} "
        runs = f"s3://{self.bucket}/pipelines/{self.spec.ref}/"
        advice = "send more or better data, or change evaluate.minimum in model.yaml"
        return FailStep(
            name="Refuse",
            message=Join(
                (
                    rule,
                    self.minimum,
                    f" and better than the trivial predictor's; it is not. Read {runs}",
                    RUN_ID,
                    f"/evaluation/evaluation.json for the numbers; then {advice}.",
                )
            ),
        )


_MODEL_DATA = Property("Train", "ModelArtifacts.S3ModelArtifacts")


def _prepared(manifest: str) -> Join:
    return Join((PREPARED_URI, manifest), on="/")


def _evaluation(path: str) -> JsonGet:
    return JsonGet("Evaluate", "Evaluation", path)
