"""
A script of one's own is trained by ModelTrainer, on spot capacity, and tuned.

Argument: JSON of name (what all names begin with), bucket, role, source (the script's folder), and
the image `scripts` that runs scripts.
"""

import json
import sys

from sagemaker.core.helper.session_helper import Session
from sagemaker.core.parameter import ContinuousParameter
from sagemaker.core.resources import TrainingJob
from sagemaker.core.training.configs import (
    Compute,
    InputData,
    OutputDataConfig,
    SourceCode,
    StoppingCondition,
)
from sagemaker.train.model_trainer import ModelTrainer
from sagemaker.train.tuner import HyperparameterTuner

given = json.loads(sys.argv[1])
NAME, BUCKET = given["name"], given["bucket"]
session = Session(default_bucket=BUCKET)
told = {}


def train():
    trainer = ModelTrainer(
        training_image=given["scripts"],
        source_code=SourceCode(source_dir=given["source"], entry_script="train.py"),
        compute=Compute(
            instance_type="ml.m5.large",
            instance_count=1,
            volume_size_in_gb=1,
            enable_managed_spot_training=True,
        ),
        stopping_condition=StoppingCondition(
            max_runtime_in_seconds=120, max_wait_time_in_seconds=240
        ),
        output_data_config=OutputDataConfig(s3_output_path=f"s3://{BUCKET}/models"),
        base_job_name=NAME,
        hyperparameters={"slope": 2, "label": "a b"},
        role=given["role"],
        sagemaker_session=session,
    )
    trainer.train(
        input_data_config=[InputData(channel_name="train", data_source=f"s3://{BUCKET}/rows/")],
        wait=True,
        logs=True,
    )
    job = trainer._latest_training_job
    described = TrainingJob.get(job.training_job_name)
    told["training"] = {
        "status": described.training_job_status,
        "model": described.model_artifacts.s3_model_artifacts,
        "hyperparameters": described.hyper_parameters,
        "spot": described.enable_managed_spot_training,
        "billed": described.billable_time_in_seconds <= described.training_time_in_seconds,
    }
    return trainer


def tune(trainer):
    tuner = HyperparameterTuner(
        model_trainer=trainer,
        objective_metric_name="score",
        metric_definitions=[{"Name": "score", "Regex": "score=([0-9.]+);"}],
        hyperparameter_ranges={"slope": ContinuousParameter(1, 3)},
        objective_type="Maximize",
        max_jobs=2,
        max_parallel_jobs=2,
        strategy="Random",
        base_tuning_job_name=NAME,
    )
    tuner.tune(
        inputs=[InputData(channel_name="train", data_source=f"s3://{BUCKET}/rows/")], wait=False
    )
    job = tuner.latest_tuning_job
    job.wait(poll=1)
    job.refresh()
    best = job.best_training_job
    told["tuning"] = {
        "status": job.hyper_parameter_tuning_job_status,
        "completed": job.training_job_status_counters.completed,
        "best": best.final_hyper_parameter_tuning_job_objective_metric.value,
        "slope": float(best.tuned_hyper_parameters["slope"]),
        "named": tuner.best_training_job() == best.training_job_name,
    }


tune(train())
sys.stdout.write(json.dumps(told) + "\n")
