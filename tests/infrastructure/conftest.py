import pytest

from .template_model import load_template, load_translated


@pytest.fixture(scope="session")
def template():
    """template.yaml, intrinsics as plain dicts. Not to be changed by a test."""
    return load_template()


@pytest.fixture(scope="session")
def translated():
    """What CloudFormation gets after the SAM transform. Not to be changed by a test."""
    return load_translated()
