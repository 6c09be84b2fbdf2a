"""SageMaker's MonitoringSchedules: they read the traffic where `watch.backend` is `sagemaker`."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from botocore.exceptions import ClientError

from tidemill.adapters.baselines import baseline_of, without_baseline
from tidemill.adapters.endpoints import is_missing
from tidemill.adapters.lake import Lake
from tidemill.adapters.registry import Registry
from tidemill.adapters.schedules import watch_schedule
from tidemill.adapters.stores import Stores
from tidemill.adapters.traffic import plan_document, results_prefix
from tidemill.names import aws_name
from tidemill.spec.compiled import Spec

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient


#: `pipeline.monitoring.monitoring_config`.
Configure = Callable[..., dict[str, Any]]


class Installed(Protocol):
    """What a function's settings say that makes schedules."""

    @property
    def stack_name(self) -> str:
        """The CloudFormation stack's name."""

    @property
    def lake_bucket(self) -> str:
        """Where traffic is."""

    @property
    def jobs_image_uri(self) -> str:
        """What reads it."""

    @property
    def execution_role_arn(self) -> str:
        """As what."""


class MonitoringSchedules:
    """One per model, called as its watch."""

    def __init__(self, client: "SageMakerClient", stack: str) -> None:
        self._client = client
        self._stack = stack

    def name(self, project: str, model: str) -> str:
        """Return what a model's schedule is called."""
        return watch_schedule(self._stack, project, model)

    def put(self, name: str, config: dict[str, Any]) -> None:
        """Create the schedule, or give it *config*; safe to repeat."""
        wanted: Any = config
        try:
            there = self._client.describe_monitoring_schedule(MonitoringScheduleName=name)
        except ClientError as error:
            if not is_missing(error):
                raise
            self._client.create_monitoring_schedule(
                MonitoringScheduleName=name, MonitoringScheduleConfig=wanted
            )
            return
        if there["MonitoringScheduleConfig"] != wanted:
            self._client.update_monitoring_schedule(
                MonitoringScheduleName=name, MonitoringScheduleConfig=wanted
            )

    def remove(self, project: str, model: str) -> list[str]:
        """Delete the schedule; return its name, if there was one."""
        name = self.name(project, model)
        try:
            self._client.delete_monitoring_schedule(MonitoringScheduleName=name)
        except ClientError as error:
            if is_missing(error):
                return []
            raise
        return [name]


class Monitoring:
    """Has the schedule of a model follow its spec and its version in service; safe to repeat."""

    def __init__(
        self,
        stores: Stores,
        registry: Registry,
        lake: Lake,
        client: "SageMakerClient",
        installed: Installed,
        *,
        config: Configure,
    ) -> None:
        self._stores = stores
        self._registry = registry
        self._lake = lake
        self._schedules = MonitoringSchedules(client, installed.stack_name)
        self._installed = installed
        self._config = config

    def follow(self, spec: Spec) -> str | None:
        """
        Have SageMaker look at what is in service as *spec* says.

        Returns:
            Why it does not, a sentence; None when it does, or nothing is in service yet. The sweep
            then starts the looks, which read the traffic themselves.
        """
        champion = self._stores.champions.find(spec.ref)
        if champion is None:
            return None
        package = self._registry.describe(champion["package"])
        baseline = baseline_of(package)
        if baseline is None:
            return without_baseline(champion["version"])
        prefix = f"{results_prefix(self._installed.lake_bucket, spec.ref)}/monitor"
        document = plan_document(
            spec,
            self._installed.lake_bucket,
            version=champion["version"],
            model=package["InferenceSpecification"]["Containers"][0]["ModelDataUrl"],
            objects=(),
        )
        document["champion"]["since"] = champion["since"]
        document["traffic"] = f"s3://{self._installed.lake_bucket}/capture/{spec.ref}"
        self._lake.put_json(f"{prefix}/plan.json", document)
        config = self._config(
            spec,
            endpoint=aws_name(self._installed.stack_name, spec.project, spec.model),
            statistics=baseline.statistics,
            constraints=baseline.constraints,
            plan=f"{prefix}/plan.json",
            reports=f"{prefix}/reports",
            image_uri=self._installed.jobs_image_uri,
            role_arn=self._installed.execution_role_arn,
        )
        try:
            self._schedules.put(self._schedules.name(spec.project, spec.model), config)
        except ClientError as error:  # an account without Model Monitor, above all
            return (
                f"SageMaker refused the monitoring schedule ({error}); apply to ask again, or "
                "write `backend: tidemill`: until then looks read the traffic themselves, late"
            )
        return None

    def change(self, spec: Spec, before: Spec | None) -> list[str]:
        """
        Have the schedule be as *spec* says, which replaces *before*.

        Returns:
            What could not be done and need not be, a sentence each.
        """
        if spec.watch.backend == "sagemaker":
            warning = self.follow(spec)
            return [warning] if warning else []
        if before is not None and before.watch.backend == "sagemaker":
            self._schedules.remove(spec.project, spec.model)
        return []
