"""Steps, definitions and calls that the tests of pipelines share."""

import json
import uuid

from .conftest import PATIENCE, ROLE, eventually

TRAIN = """
    import json, os, pathlib, sys
    base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
    given = json.loads((base / "input/config/hyperparameters.json").read_text())
    if given.get("fail"):
        (base / "output").mkdir(exist_ok=True)
        (base / "output/failure").write_text(given["fail"])
        sys.exit(1)
    (base / "model" / "auc.txt").write_text(given["auc"])
"""
EVALUATE = """
    import json, os, pathlib, sys, tarfile
    data = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"], "processing")
    with tarfile.open(data / "input/model/model.tar.gz") as tar:
        auc = float(tar.extractfile("auc.txt").read())
    arguments = sys.argv[1:]
    out = data / "output/evaluation"
    document = {"metric": {"value": auc}, "arguments": arguments}
    (out / "evaluation.json").write_text(json.dumps(document))
"""
SLEEP = """
    import time
    time.sleep(60)
"""
RESOURCES = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}
PIPELINE_EVENT = "SageMaker Model Building Pipeline Execution Status Change"
STEP_EVENT = "SageMaker Model Building Pipeline Execution Step Status Change"


class Pipelines:
    """The calls of these tests, with what they all have in common."""

    def __init__(self, cloud, bucket):
        self.cloud = cloud
        self.sagemaker = getattr(cloud, "sagemaker", None)  # without one, definitions only
        self.bucket = bucket

    def training(self, name="Train", image=None, **fields):
        hyper = fields.pop("hyper", {"auc": {"Get": "Parameters.Auc"}})
        return {
            "Name": name,
            "Type": "Training",
            "Arguments": {
                "AlgorithmSpecification": {
                    "TrainingImage": image or self.cloud.image(TRAIN),
                    "TrainingInputMode": "File",
                },
                "RoleArn": ROLE,
                "HyperParameters": hyper,
                "OutputDataConfig": {
                    "S3OutputPath": {
                        "Std:Join": {
                            "On": "/",
                            "Values": [f"s3://{self.bucket}/models", {"Get": "Parameters.RunId"}],
                        }
                    }
                },
                "ResourceConfig": RESOURCES,
                "StoppingCondition": {"MaxRuntimeInSeconds": 60},
                "Tags": [{"Key": "run", "Value": {"Get": "Parameters.RunId"}}],
            },
            **fields,
        }

    def processing(self, name, image, arguments=(), **fields):
        return {
            "Name": name,
            "Type": "Processing",
            "Arguments": {
                "ProcessingResources": {"ClusterConfig": RESOURCES},
                "AppSpecification": {"ImageUri": image}
                | ({"ContainerArguments": list(arguments)} if arguments else {}),
                "RoleArn": ROLE,
                "StoppingCondition": {"MaxRuntimeInSeconds": 60},
                **fields.pop("Arguments", {}),
            },
            **fields,
        }

    def evaluation(self):
        step = self.processing(
            "Evaluate",
            self.cloud.image(EVALUATE),
            [
                "--execution",
                {"Get": "Execution.PipelineExecutionId"},
                "--job",
                {"Get": "Execution.ProcessingJobName"},
            ],
        )
        step["Arguments"] |= {
            "ProcessingInputs": [
                {
                    "InputName": "model",
                    "S3Input": {
                        "S3Uri": {"Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts"},
                        "LocalPath": "/opt/ml/processing/input/model",
                        "S3DataType": "S3Prefix",
                        "S3InputMode": "File",
                    },
                }
            ],
            "ProcessingOutputConfig": {
                "Outputs": [
                    {
                        "OutputName": "evaluation",
                        "S3Output": {
                            "S3Uri": {
                                "Std:Join": {
                                    "On": "/",
                                    "Values": [
                                        f"s3://{self.bucket}/evaluation",
                                        {"Get": "Parameters.RunId"},
                                    ],
                                }
                            },
                            "LocalPath": "/opt/ml/processing/output/evaluation",
                            "S3UploadMode": "EndOfJob",
                        },
                    }
                ]
            },
        }
        step["PropertyFiles"] = [
            {
                "PropertyFileName": "Evaluation",
                "OutputName": "evaluation",
                "FilePath": "evaluation.json",
            }
        ]
        return step

    def function(self, name, arn, outputs=None, arguments=None, **fields):
        return {
            "Name": name,
            "Type": "Lambda",
            "FunctionArn": arn,
            "Arguments": arguments or {},
            "OutputParameters": [
                {"OutputName": output, "OutputType": kind}
                for output, kind in (outputs or {}).items()
            ],
            **fields,
        }

    def callback(self, name, url, outputs=None, arguments=None, **fields):
        step = self.function(name, None, outputs, arguments, **fields)
        del step["FunctionArn"]
        return step | {"Type": "Callback", "SqsQueueUrl": url}

    def condition(self, name, *conditions, yes=(), no=(), **fields):
        return {
            "Name": name,
            "Type": "Condition",
            "Arguments": {
                "Conditions": list(conditions),
                "IfSteps": list(yes),
                "ElseSteps": list(no),
            },
            **fields,
        }

    def gate(self):
        metric = {
            "Std:JsonGet": {
                "PropertyFile": {"Get": "Steps.Evaluate.PropertyFiles.Evaluation"},
                "Path": "metric.value",
            }
        }
        uri = {"Get": "Steps.Evaluate.ProcessingOutputConfig.Outputs['evaluation'].S3Output.S3Uri"}
        return {
            "Name": "Gate",
            "Type": "Condition",
            "Arguments": {
                "Conditions": [
                    {
                        "Type": "GreaterThanOrEqualTo",
                        "LeftValue": metric,
                        "RightValue": {"Get": "Parameters.MinimumMetric"},
                    },
                ],
                "IfSteps": [
                    {
                        "Name": "Register",
                        "Type": "RegisterModel",
                        "Arguments": {
                            "ModelPackageGroupName": {"Get": "Execution.PipelineName"},
                            "ModelApprovalStatus": "PendingManualApproval",
                            "InferenceSpecification": {
                                "Containers": [
                                    {
                                        "Image": "image:1",
                                        "ModelDataUrl": {
                                            "Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts"
                                        },
                                    }
                                ],
                                "SupportedContentTypes": ["text/csv"],
                                "SupportedResponseMIMETypes": ["text/csv"],
                            },
                            "ModelMetrics": {
                                "ModelQuality": {
                                    "Statistics": {
                                        "ContentType": "application/json",
                                        "S3Uri": {
                                            "Std:Join": {
                                                "On": "/",
                                                "Values": [uri, "evaluation.json"],
                                            }
                                        },
                                    }
                                }
                            },
                        },
                    }
                ],
                "ElseSteps": [
                    {
                        "Name": "Refuse",
                        "Type": "Fail",
                        "Arguments": {
                            "ErrorMessage": {
                                "Std:Join": {
                                    "On": " ",
                                    "Values": [
                                        "auc",
                                        metric,
                                        "is below",
                                        {"Get": "Parameters.MinimumMetric"},
                                    ],
                                }
                            }
                        },
                    }
                ],
            },
        }

    def registration(self, name="Register", **fields):
        container = {"Image": "image:1", "ModelDataUrl": "s3://models/model.tar.gz"}
        return {
            "Name": name,
            "Type": "RegisterModel",
            "Arguments": {
                "ModelPackageGroupName": {"Get": "Execution.PipelineName"},
                "InferenceSpecification": {
                    "Containers": [container],
                    "SupportedContentTypes": ["text/csv"],
                    "SupportedResponseMIMETypes": ["text/csv"],
                },
            },
            **fields,
        }

    def definition(self, *steps):
        return json.dumps(
            {
                "Version": "2020-12-01",
                "Metadata": {},
                "Parameters": [
                    {"Name": "RunId", "Type": "String", "DefaultValue": "r1"},
                    {"Name": "Auc", "Type": "String", "DefaultValue": "0.9"},
                    {"Name": "MinimumMetric", "Type": "Float", "DefaultValue": 0.8},
                ],
                "Steps": list(steps),
            }
        )

    def create(self, *steps, name=None, **request):
        name = name or f"pipeline-{uuid.uuid4().hex[:8]}"
        self.sagemaker.create_pipeline(
            PipelineName=name, PipelineDefinition=self.definition(*steps), RoleArn=ROLE, **request
        )
        return name

    def wheel(self, **request):
        return self.create(self.training(), self.evaluation(), self.gate(), **request)

    def start(self, name, parameters=None, **request):
        given = [{"Name": key, "Value": value} for key, value in (parameters or {}).items()]
        return self.sagemaker.start_pipeline_execution(
            PipelineName=name, PipelineParameters=given, **request
        )["PipelineExecutionArn"]

    def ended(self, arn):
        """Return an execution's description once it has ended."""
        live = {"Executing", "Stopping"}
        store = self.cloud.service.context.store
        body = store.wait_for(
            "PipelineExecution",
            arn,
            lambda b: b["PipelineExecutionStatus"] not in live,
            PATIENCE,
        )
        assert body["PipelineExecutionStatus"] not in live
        return self.sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)

    def steps(self, arn):
        found = self.sagemaker.list_pipeline_execution_steps(
            PipelineExecutionArn=arn, SortOrder="Ascending", MaxResults=100
        )["PipelineExecutionSteps"]
        return {step["StepName"]: step for step in found}

    def statuses(self, arn):
        return {name: step["StepStatus"] for name, step in self.steps(arn).items()}

    def running(self, arn, step):
        """Wait until a step's job is there."""
        eventually(lambda: "Metadata" in self.steps(arn).get(step, {}), f"{step} runs")

    def events(self, kind, arn):
        return [
            detail
            for detail_type, detail, resources in self.cloud.events
            if detail_type == kind and arn in resources
        ]
