"""
A run of an experiment is logged, records go into the Feature Store and come out of it.

Argument: JSON of name (what all names begin with), bucket and role.
"""

import json
import sys

from sagemaker.core.analytics import ExperimentAnalytics
from sagemaker.core.experiments.run import Run, list_runs, load_run
from sagemaker.core.helper.session_helper import Session
from sagemaker.core.resources import FeatureGroup
from sagemaker.core.shapes import (
    FeatureDefinition,
    FeatureValue,
    OfflineStoreConfig,
    OnlineStoreConfig,
    S3StorageConfig,
)

given = json.loads(sys.argv[1])
NAME, BUCKET = given["name"], given["bucket"]
session = Session(default_bucket=BUCKET)
KINDS = {"flight": "String", "at": "Fractional", "delay": "Fractional"}
told = {}


def experiment():
    named = {"experiment_name": NAME, "sagemaker_session": session}
    with Run(run_name="first", **named) as run:
        run.log_parameter("eta", 0.1)
        for step, value in enumerate((0.5, 0.9)):
            run.log_metric("auc", value, step=step)
    with load_run(run_name="first", **named) as run:
        told["parameters"] = run._trial_component.parameters
    told["runs"] = [run.run_name for run in list_runs(**named)]
    table = ExperimentAnalytics(**named).dataframe()
    told["table"] = {
        column: table[column].tolist()
        for column in ("eta", "auc - Max", "auc - Last", "auc - Count")
    }


def features():
    group = FeatureGroup.create(
        feature_group_name=NAME,
        record_identifier_feature_name="flight",
        event_time_feature_name="at",
        feature_definitions=[
            FeatureDefinition(feature_name=name, feature_type=kind) for name, kind in KINDS.items()
        ],
        online_store_config=OnlineStoreConfig(enable_online_store=True),
        offline_store_config=OfflineStoreConfig(
            s3_storage_config=S3StorageConfig(s3_uri=f"s3://{BUCKET}/{NAME}")
        ),
        role_arn=given["role"],
    )
    group.wait_for_status("Created", poll=1)
    record = {"flight": "SK1", "at": "1", "delay": "2.5"}
    group.put_record(
        record=[
            FeatureValue(feature_name=name, value_as_string=value) for name, value in record.items()
        ]
    )
    got = group.get_record(record_identifier_value_as_string="SK1").record
    told["record"] = {value.feature_name: value.value_as_string for value in got}
    group.delete_record(record_identifier_value_as_string="SK1", event_time="2")
    group.delete()
    group.wait_for_delete(poll=1)


experiment()
features()
sys.stdout.write(json.dumps(told) + "\n")
