import pytest

SMALLEST = """\
project: flights
model: delay
data:
  target: late
train:
  problem: binary
"""

FULL = """\
project: flights
model: arrival-delay
data:
  format: parquet
  target: late
  id: flight_id
  timestamp: departed
  exclude: [tailnum, dep_delay]
delivery:
  quiet: 30s
  max_wait: 1h30m
  marker: _SUCCESS
prepare:
  split: {validation: 0.2, test: 0.1}
  seed: 7
train:
  algorithm: xgboost
  problem: binary
  hyperparameters:
    eta: 0.1
    lambda: 2
    max_depth: 6
    tree_method: hist
  compute:
    instance: ml.m5.2xlarge
    volume_gb: 50
    max_runtime: 2h
evaluate:
  metric: auc
  minimum: 0.7
  direction: maximize
approve: auto
deploy:
  instance: ml.c5.large
  count: 2
"""


@pytest.fixture(scope="session")
def smallest():
    return SMALLEST


@pytest.fixture(scope="session")
def full():
    return FULL
