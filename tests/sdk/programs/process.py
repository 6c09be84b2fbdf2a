"""
Scripts of one's own run in ScriptProcessor and FrameworkProcessor.

Argument: JSON of name (what all names begin with), bucket, role, source (the scripts' folder), and
the image `scripts` that runs scripts.
"""

import json
import sys

from sagemaker.core.helper.session_helper import Session
from sagemaker.core.processing import FrameworkProcessor, ScriptProcessor
from sagemaker.core.s3 import S3Downloader
from sagemaker.core.shapes import (
    ProcessingInput,
    ProcessingOutput,
    ProcessingS3Input,
    ProcessingS3Output,
)

given = json.loads(sys.argv[1])
NAME, BUCKET = given["name"], given["bucket"]
session = Session(default_bucket=BUCKET)
told = {}


def inputs():
    source = ProcessingS3Input(
        s3_uri=f"s3://{BUCKET}/rows/",
        local_path="/opt/ml/processing/input/rows",
        s3_data_type="S3Prefix",
        s3_input_mode="File",
    )
    return [ProcessingInput(input_name="rows", s3_input=source)]


def outputs(kind):
    target = ProcessingS3Output(
        s3_uri=f"s3://{BUCKET}/{NAME}/{kind}",
        local_path="/opt/ml/processing/output",
        s3_upload_mode="EndOfJob",
    )
    return [ProcessingOutput(output_name="evaluation", s3_output=target)]


def result(kind, job):
    job.refresh()
    text = S3Downloader.read_file(
        f"s3://{BUCKET}/{NAME}/{kind}/evaluation.json", sagemaker_session=session
    )
    told[kind] = {"status": job.processing_job_status, "evaluation": json.loads(text)}


common = {
    "image_uri": given["scripts"],
    "command": ["python3"],
    "instance_type": "ml.m5.large",
    "instance_count": 1,
    "role": given["role"],
    "sagemaker_session": session,
    "base_job_name": NAME,
}

processor = ScriptProcessor(**common)
processor.run(
    code=f"{given['source']}/count.py",
    inputs=inputs(),
    outputs=outputs("script"),
    arguments=["--times", "3"],
)
result("script", processor.latest_job)

processor = FrameworkProcessor(**common)
processor.run(
    code="count.py",
    source_dir=given["source"],
    inputs=inputs(),
    outputs=outputs("framework"),
    arguments=["--times", "5"],
)
result("framework", processor.latest_job)
sys.stdout.write(json.dumps(told) + "\n")
