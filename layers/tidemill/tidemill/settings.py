"""Settings, read once from the environment at cold start; one class per function."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Self

from tidemill.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Settings:
    """Base of a function's settings; field `state_table` reads the variable `STATE_TABLE`."""

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self:
        """
        Read the settings.

        Raises:
            ConfigurationError: Names every missing or empty variable, never a value.
        """
        names = {field.name: field.name.upper() for field in fields(cls)}
        missing = sorted(variable for variable in names.values() if not env.get(variable))
        if missing:
            raise ConfigurationError(f"missing environment variables: {', '.join(missing)}")
        return cls(**{field: env[variable] for field, variable in names.items()})


@dataclass(frozen=True, slots=True)
class Tables(Settings):
    """The two tables; most functions need both."""

    state_table: str
    ledger_table: str
    ledger_retention_days: str


@dataclass(frozen=True, slots=True)
class AdmitUploadSettings(Tables):
    """What `functions/admit_upload` needs."""

    delivery_queue_url: str
    bus_name: str


@dataclass(frozen=True, slots=True)
class RecordTruthSettings(Tables):
    """What `functions/record_truth` needs."""

    bus_name: str


@dataclass(frozen=True, slots=True)
class JudgeQualitySettings(Tables):
    """What `functions/judge_quality` needs."""

    stack_name: str
    lake_bucket: str
    bus_name: str


@dataclass(frozen=True, slots=True)
class CloseDeliverySettings(Tables):
    """What `functions/close_delivery` needs."""

    delivery_queue_url: str
    check_arn: str
    bus_name: str


@dataclass(frozen=True, slots=True)
class PlanCheckSettings(Tables):
    """What `functions/plan_check` needs."""

    stack_name: str
    artifact_bucket: str
    jobs_image_uri: str
    execution_role_arn: str


@dataclass(frozen=True, slots=True)
class ConcludeCheckSettings(Tables):
    """What `functions/conclude_check` needs."""

    artifact_bucket: str
    trigger_queue_url: str
    bus_name: str


@dataclass(frozen=True, slots=True)
class ExplainUploadSettings(Tables):
    """What `functions/explain_upload` needs."""


@dataclass(frozen=True, slots=True)
class CloseCheckSettings(Tables):
    """What `functions/close_check` needs."""


@dataclass(frozen=True, slots=True)
class DecideTriggerSettings(Tables):
    """What `functions/decide_trigger` needs."""

    trigger_queue_url: str
    bus_name: str
    retrain_arn: str


@dataclass(frozen=True, slots=True)
class OpenRunSettings(Tables):
    """What `functions/open_run` needs."""

    stack_name: str
    lake_bucket: str
    artifact_bucket: str
    jobs_image_uri: str
    execution_role_arn: str


@dataclass(frozen=True, slots=True)
class PrepareDatasetSettings(Tables):
    """What `functions/prepare_dataset` needs."""


@dataclass(frozen=True, slots=True)
class ParkSettings(Tables):
    """What `functions/park` needs."""


@dataclass(frozen=True, slots=True)
class ResumeSettings(Settings):
    """What `functions/resume` needs."""

    state_table: str


@dataclass(frozen=True, slots=True)
class ReadOutcomeSettings(Tables):
    """What `functions/read_outcome` needs."""

    bus_name: str


@dataclass(frozen=True, slots=True)
class CloseRunSettings(Tables):
    """What `functions/close_run` and `functions/settle_execution` need."""

    trigger_queue_url: str
    bus_name: str


@dataclass(frozen=True, slots=True)
class JudgeVersionSettings(Tables):
    """What `functions/judge_version` needs."""

    stack_name: str
    bus_name: str


@dataclass(frozen=True, slots=True)
class StartRolloutSettings(Tables):
    """What `functions/start_rollout` and `functions/request_rollback` need."""

    stack_name: str
    rollout_arn: str


@dataclass(frozen=True, slots=True)
class PlanRolloutSettings(Tables):
    """What `functions/plan_rollout` needs."""

    stack_name: str
    lake_bucket: str
    artifact_bucket: str
    execution_role_arn: str


@dataclass(frozen=True, slots=True)
class CloseRolloutSettings(Tables):
    """What `functions/close_rollout` needs."""

    bus_name: str
    stack_name: str
    lake_bucket: str
    jobs_image_uri: str
    execution_role_arn: str


@dataclass(frozen=True, slots=True)
class ApplyModelSettings(Tables):
    """What `functions/apply_model` needs."""

    stack_name: str
    lake_bucket: str
    artifact_bucket: str
    jobs_image_uri: str
    execution_role_arn: str
    trigger_queue_url: str
    schedule_group: str
    raise_trigger_arn: str
    start_watch_arn: str
    scheduler_role_arn: str
    event_dead_letters_arn: str
    log_retention_days: str


@dataclass(frozen=True, slots=True)
class RaiseTriggerSettings(Tables):
    """What `functions/raise_trigger` needs."""

    trigger_queue_url: str
    bus_name: str


@dataclass(frozen=True, slots=True)
class RequestRunSettings(Tables):
    """What `functions/request_run` needs."""

    trigger_queue_url: str


@dataclass(frozen=True, slots=True)
class ReleaseUploadSettings(Tables):
    """What `functions/release_upload` and `functions/accept_contract` need."""

    artifact_bucket: str
    trigger_queue_url: str


@dataclass(frozen=True, slots=True)
class RequestCheckSettings(Tables):
    """What `functions/request_check` needs."""

    check_arn: str


@dataclass(frozen=True, slots=True)
class StartWatchSettings(Tables):
    """What `functions/start_watch` and `functions/request_watch` need."""

    watch_arn: str


@dataclass(frozen=True, slots=True)
class PlanWatchSettings(Tables):
    """What `functions/plan_watch` needs."""

    stack_name: str
    lake_bucket: str
    jobs_image_uri: str
    execution_role_arn: str


@dataclass(frozen=True, slots=True)
class ConcludeWatchSettings(Tables):
    """What `functions/conclude_watch` needs."""

    lake_bucket: str
    bus_name: str


@dataclass(frozen=True, slots=True)
class CloseWatchSettings(Tables):
    """What `functions/close_watch` needs."""


@dataclass(frozen=True, slots=True)
class DeleteModelSettings(Tables):
    """What `functions/delete_model` needs."""

    stack_name: str
    trigger_queue_url: str
    schedule_group: str


@dataclass(frozen=True, slots=True)
class SweepSettings(Tables):
    """What `functions/sweep` needs."""

    lake_bucket: str
    anchor_bucket: str
    intake_queue_url: str
    truth_queue_url: str
    check_arn: str
    retrain_arn: str
    rollout_arn: str
    watch_arn: str
    delivery_queue_url: str
    trigger_queue_url: str
    bus_name: str


@dataclass(frozen=True, slots=True)
class ChainLedgerSettings(Settings):
    """What `functions/chain_ledger` needs."""

    stack_name: str
    ledger_table: str
