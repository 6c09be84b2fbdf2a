"""
The resource classes of sagemaker-core create, wait for, list, update and delete.

Argument: JSON of name (what all names begin with), bucket, model (its archive's URI), role, and
the images `serving` and `working`.
"""

import json
import sys

from botocore.exceptions import ClientError
from sagemaker.core.resources import (
    Endpoint,
    EndpointConfig,
    InferenceComponent,
    Model,
    ModelPackage,
    ModelPackageGroup,
    ProcessingJob,
    Tag,
    TrainingJob,
    TransformJob,
)
from sagemaker.core.shapes import (
    AlgorithmSpecification,
    AppSpecification,
    ContainerDefinition,
    InferenceComponentComputeResourceRequirements,
    InferenceComponentRuntimeConfig,
    InferenceComponentSpecification,
    InferenceSpecification,
    OutputDataConfig,
    ProcessingClusterConfig,
    ProcessingResources,
    ProductionVariant,
    ResourceConfig,
    StoppingCondition,
    TransformDataSource,
    TransformInput,
    TransformOutput,
    TransformResources,
    TransformS3DataSource,
)
from sagemaker.core.utils.utils import SageMakerClient, serialize

POLL = 1
given = json.loads(sys.argv[1])
NAME = given["name"]
told = {}


def refused(call, **arguments):
    """Return the error code and message that a call ends with."""
    try:
        call(**arguments)
    except ClientError as error:
        return [error.response["Error"]["Code"], error.response["Error"]["Message"]]
    return None


def process():
    jobs = [
        ProcessingJob.create(
            processing_job_name=f"{NAME}-process-{number}",
            role_arn=given["role"],
            app_specification=AppSpecification(image_uri=given["working"]),
            processing_resources=ProcessingResources(
                cluster_config=ProcessingClusterConfig(
                    instance_count=1, instance_type="ml.m5.large", volume_size_in_gb=1
                )
            ),
        )
        for number in range(3)
    ]
    for job in jobs:
        job.wait(poll=POLL, logs=True)
    listed = ProcessingJob.get_all(name_contains=f"{NAME}-process", sort_by="Name")
    told["processing"] = {
        "status": [job.processing_job_status for job in jobs],
        "listed": [job.processing_job_name for job in listed],
        "missing": refused(ProcessingJob.get, processing_job_name="none"),
    }


def train():
    job = TrainingJob.create(
        training_job_name=f"{NAME}-train",
        role_arn=given["role"],
        algorithm_specification=AlgorithmSpecification(
            training_image=given["working"], training_input_mode="File"
        ),
        output_data_config=OutputDataConfig(s3_output_path=f"s3://{given['bucket']}/models"),
        resource_config=ResourceConfig(
            instance_type="ml.m5.large", instance_count=1, volume_size_in_gb=1
        ),
        stopping_condition=StoppingCondition(max_runtime_in_seconds=60),
        tags=[{"key": "team", "value": "ops"}],
    )
    job.wait(poll=POLL)
    tags = [[tag.key, tag.value] for tag in Tag.get_all(resource_arn=job.training_job_arn)]
    told["training"] = {
        "status": job.training_job_status,
        "model": job.model_artifacts.s3_model_artifacts,
        "tags": tags,
        "again": TrainingJob.get(f"{NAME}-train").training_job_arn == job.training_job_arn,
        "missing": refused(TrainingJob.get, training_job_name="none"),
    }


def host():
    model = Model.create(
        model_name=NAME,
        primary_container=ContainerDefinition(
            image=given["serving"], model_data_url=given["model"]
        ),
        execution_role_arn=given["role"],
    )
    configs = [
        EndpointConfig.create(
            endpoint_config_name=name,
            production_variants=[
                ProductionVariant(
                    variant_name="A",
                    model_name=model.model_name,
                    instance_type="ml.m5.large",
                    initial_instance_count=1,
                )
            ],
        )
        for name in (f"{NAME}-1", f"{NAME}-2")
    ]
    endpoint = Endpoint.create(endpoint_name=NAME, endpoint_config_name=f"{NAME}-1")
    endpoint.wait_for_status("InService", poll=POLL)
    answer = endpoint.invoke(body="1,2,4", content_type="text/csv")
    endpoint.endpoint_config_name = f"{NAME}-2"
    endpoint.update()
    endpoint.wait_for_status("InService", poll=POLL)
    endpoint.refresh()
    told["hosting"] = {
        "answer": answer.body.read().decode(),
        "variant": answer.invoked_production_variant,
        "config": endpoint.endpoint_config_name,
        "listed": [each.endpoint_name for each in Endpoint.get_all(name_contains=NAME)],
        "taken": refused(Endpoint.create, endpoint_name=NAME, endpoint_config_name=f"{NAME}-1"),
    }
    transform()
    components()
    endpoint.delete()
    endpoint.wait_for_delete(poll=POLL)
    for config in configs:
        config.delete()
    model.delete()
    told["hosting"]["gone"] = refused(Endpoint.get, endpoint_name=NAME)
    told["hosting"]["left"] = [each.model_name for each in Model.get_all(name_contains=NAME)]


def components():
    config = EndpointConfig.create(
        endpoint_config_name=f"{NAME}-bare",
        execution_role_arn=given["role"],
        production_variants=[
            ProductionVariant(
                variant_name="A", instance_type="ml.m5.large", initial_instance_count=1
            )
        ],
    )
    endpoint = Endpoint.create(endpoint_name=f"{NAME}-bare", endpoint_config_name=f"{NAME}-bare")
    endpoint.wait_for_status("InService", poll=POLL)
    component = InferenceComponent.create(
        inference_component_name=f"{NAME}-part",
        endpoint_name=f"{NAME}-bare",
        variant_name="A",
        specification=InferenceComponentSpecification(
            model_name=NAME,
            compute_resource_requirements=InferenceComponentComputeResourceRequirements(
                number_of_cpu_cores_required=1, min_memory_required_in_mb=512
            ),
        ),
        runtime_config=InferenceComponentRuntimeConfig(copy_count=1),
    )
    component.wait_for_status("InService", poll=POLL)
    answer = endpoint.invoke(
        body="1,2,4", content_type="text/csv", inference_component_name=f"{NAME}-part"
    )
    component.update_runtime_configs(
        desired_runtime_config=InferenceComponentRuntimeConfig(copy_count=2)
    )
    component.wait_for_status("InService", poll=POLL)
    listed = InferenceComponent.get_all(endpoint_name_equals=f"{NAME}-bare")
    told["components"] = {
        "answer": answer.body.read().decode(),
        "copies": component.runtime_config.current_copy_count,
        "listed": [each.inference_component_name for each in listed],
    }
    component.delete()
    component.wait_for_delete(poll=POLL)
    endpoint.delete()
    endpoint.wait_for_delete(poll=POLL)
    config.delete()


def transform():
    source = TransformS3DataSource(s3_data_type="S3Prefix", s3_uri=f"s3://{given['bucket']}/rows/")
    job = TransformJob.create(
        transform_job_name=f"{NAME}-transform",
        model_name=NAME,
        transform_input=TransformInput(
            data_source=TransformDataSource(s3_data_source=source),
            content_type="text/csv",
            split_type="Line",
        ),
        transform_output=TransformOutput(
            s3_output_path=f"s3://{given['bucket']}/scored", assemble_with="Line"
        ),
        transform_resources=TransformResources(instance_type="ml.m5.large", instance_count=1),
        batch_strategy="SingleRecord",
    )
    job.wait(poll=POLL)
    told["transform"] = {
        "status": job.transform_job_status,
        "listed": [each.transform_job_name for each in TransformJob.get_all(name_contains=NAME)],
    }


def register():
    group = ModelPackageGroup.create(model_package_group_name=NAME)
    group.wait_for_status("Completed", poll=POLL)
    specification = InferenceSpecification(
        containers=[{"image": given["serving"], "model_data_url": given["model"]}],
        supported_content_types=["text/csv"],
        supported_response_mime_types=["text/csv"],
    )
    # ModelPackage.create and .delete of 3.27 look for a ModelPackageName, which versions lack.
    client = SageMakerClient().sagemaker_client
    registered = [
        client.create_model_package(
            ModelPackageGroupName=NAME, InferenceSpecification=serialize(specification)
        )
        for _ in range(2)
    ]
    versions = [ModelPackage.get(version["ModelPackageArn"]) for version in registered]
    versions[1].wait_for_status("Completed", poll=POLL)
    versions[1].update(model_approval_status="Approved")
    versions[1].refresh()
    told["registry"] = {
        "versions": [version.model_package_version for version in versions],
        "approval": versions[1].model_approval_status,
        "listed": len([*ModelPackage.get_all(model_package_group_name=NAME)]),
    }
    for version in versions:
        client.delete_model_package(ModelPackageName=version.model_package_arn)
    group.delete()
    told["registry"]["left"] = len([*ModelPackageGroup.get_all(name_contains=NAME)])


for part in (process, train, host, register):
    part()
sys.stdout.write(json.dumps(told) + "\n")
