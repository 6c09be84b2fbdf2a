"""
A model is put in service by ModelBuilder, asked, and used by Transformer on what lies in S3.

Argument: JSON of name (what all names begin with), bucket, role, model (an archive's URI), and the
image `serving` that serves it.
"""

import json
import sys

from sagemaker.core.helper.session_helper import Session
from sagemaker.core.s3 import S3Downloader
from sagemaker.core.transformer import Transformer
from sagemaker.serve.model_builder import ModelBuilder

given = json.loads(sys.argv[1])
NAME, BUCKET = given["name"], given["bucket"]
session = Session(default_bucket=BUCKET)
told = {}


def deploy():
    builder = ModelBuilder(
        s3_model_data_url=given["model"],
        image_uri=given["serving"],
        role_arn=given["role"],
        sagemaker_session=session,
    )
    model = builder.build(model_name=NAME)
    endpoint = builder.deploy(
        endpoint_name=NAME, instance_type="ml.m5.large", initial_instance_count=1
    )
    answer = endpoint.invoke(body="1,2,4", content_type="text/csv")
    told["hosting"] = {
        "model": model.model_name,
        "status": endpoint.endpoint_status,
        "answer": answer.body.read().decode(),
    }
    endpoint.delete()
    endpoint.wait_for_delete(poll=1)


def transform():
    output = f"s3://{BUCKET}/{NAME}/scored"
    transformer = Transformer(
        model_name=NAME,
        instance_count=1,
        instance_type="ml.m5.large",
        strategy="SingleRecord",
        assemble_with="Line",
        accept="text/csv",
        output_path=output,
        base_transform_job_name=NAME,
        sagemaker_session=session,
    )
    transformer.transform(
        f"s3://{BUCKET}/rows/",
        content_type="text/csv",
        split_type="Line",
        input_filter="$[1:]",
        join_source="Input",
        wait=True,
    )
    job = transformer.latest_transform_job
    job.refresh()
    told["transform"] = {
        "status": job.transform_job_status,
        "scored": S3Downloader.read_file(f"{output}/a.csv.out", sagemaker_session=session),
        "again": Transformer.attach(job.transform_job_name, session).model_name,
    }


deploy()
transform()
sys.stdout.write(json.dumps(told) + "\n")
