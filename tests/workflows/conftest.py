"""One deployed stack for all tests of this folder; each test has a model of its own."""

import pytest

from deployed import Deployed
from local_cloud import LocalCloud


@pytest.fixture(scope="session")
def stack(tmp_path_factory):
    state = tmp_path_factory.mktemp("workflows") / "state"
    # Retries are all taken, only sooner.
    cloud = LocalCloud(state, SFN_WAIT_SCALE="0.05").start()
    try:
        yield Deployed(cloud)
    finally:
        cloud.close()
