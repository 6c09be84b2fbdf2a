"""The committed table against botocore's service model."""

import pytest
from botocore.session import Session

from tidemill.spec import instances


@pytest.fixture(scope="module")
def service():
    return Session().get_service_model("sagemaker")


@pytest.mark.parametrize(
    ("ours", "shape"),
    [
        (instances.TRAINING, "TrainingInstanceType"),
        (instances.PROCESSING, "ProcessingInstanceType"),
        (instances.HOSTING, "ProductionVariantInstanceType"),
    ],
)
def test_the_table_is_botocores(service, ours, shape):
    theirs = frozenset(service.shape_for(shape).enum)

    assert ours == theirs, f"add {sorted(theirs - ours)}, remove {sorted(ours - theirs)}"
