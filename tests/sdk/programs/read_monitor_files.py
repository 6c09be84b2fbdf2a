"""
What the SageMaker SDK reads of a version's baseline, as one JSON document.

Argument: JSON of the model package's ARN, and of the address of a constraint_violations.json.
"""

import json
import sys

from sagemaker.core.drift_check_baselines import DriftCheckBaselines
from sagemaker.core.helper.session_helper import Session
from sagemaker.core.model_metrics import MetricsSource, ModelMetrics
from sagemaker.core.model_monitor import Constraints, ConstraintViolations, Statistics


def main(package, violations_uri, **_):
    session = Session()
    described = session.sagemaker_client.describe_model_package(ModelPackageName=package)
    quality = described["DriftCheckBaselines"]["ModelDataQuality"]
    statistics_uri = quality["Statistics"]["S3Uri"]
    constraints_uri = quality["Constraints"]["S3Uri"]
    statistics = Statistics.from_s3_uri(statistics_uri, sagemaker_session=session)
    constraints = Constraints.from_s3_uri(constraints_uri, sagemaker_session=session)
    violations = ConstraintViolations.from_s3_uri(violations_uri, sagemaker_session=session)
    read = json.dumps([statistics.body_dict, constraints.body_dict, violations.body_dict])

    constraints.set_monitoring(enable_monitoring=False)
    constraints.set_monitoring(enable_monitoring=False, feature_name="wind")
    saved = constraints.save(constraints_uri.replace("constraints.json", "changed.json"))
    again = Constraints.from_s3_uri(saved, sagemaker_session=session)

    sources = {
        "model_data_statistics": MetricsSource("application/json", statistics_uri),
        "model_data_constraints": MetricsSource("application/json", constraints_uri),
    }
    document = {
        "read": json.loads(read),
        "changed": again.body_dict,
        "metrics": ModelMetrics(**sources)._to_request_dict(),
        "baselines": DriftCheckBaselines(**sources)._to_request_dict(),
    }
    sys.stdout.write(json.dumps(document) + "\n")


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
