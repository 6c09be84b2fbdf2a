import os
from pathlib import Path

import pytest

from local_cloud import LocalCloud


def pytest_collection_modifyitems(items):
    here = f"{Path(__file__).parent}{os.sep}"
    for item in items:
        if str(item.path).startswith(here):
            item.add_marker(pytest.mark.engine)


@pytest.fixture(scope="session")
def cloud(tmp_path_factory):
    """A local cloud that all tests of the session share; names keep them apart."""
    started = LocalCloud(tmp_path_factory.mktemp("shared-cloud")).start()
    yield started
    started.close()


@pytest.fixture
def own_cloud(tmp_path):
    """A local cloud of one test, which may kill it."""
    started = LocalCloud(tmp_path / "state").start()
    yield started
    started.close()


@pytest.fixture(scope="session")
def cloud_with_fake_sagemaker(tmp_path_factory):
    """A local cloud whose SageMaker is `fake_sagemaker_engine.py`."""
    program = [str(Path(__file__).with_name("fake_sagemaker_engine.py"))]
    started = LocalCloud(tmp_path_factory.mktemp("fake-sagemaker"), program).start()
    yield started
    started.close()
