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
  binary: [images]
delivery:
  quiet: 30s
  max_wait: 1h30m
  marker: _SUCCESS
check:
  on_violation: drop
  bad_rows: 0.01
  columns:
    carrier: {type: category, values: [UA, AA]}
    dep_time: {minimum: 0, maximum: 2400, completeness: 0.9}
triggers:
  cooldown: 6h
  minimum_rows: 1000
  minimum_share: 0.05
  runs_per_week: 7
  time_zone: Europe/Berlin
  blackout: ["mon-fri 08:00-18:00", "sat 22:00-06:00"]
  schedule: ["cron(0 3 * * ? *)"]
  alarms: [late-arrival-auc]
  on_change: true
prepare:
  split: {validation: 0.2, test: 0.1}
  seed: 7
  window: {deliveries: 6, age: 90d}
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
watch:
  every: 30m
  capture: {percent: 50, redact: {tailnum: hash, dest: drop}}
  drift:
    distance: simple
    threshold: 0.2
    windows: 2
    of: 4
    minimum_rows: 100
    cooldown: 12h
    per_week: 1
    ignore: [id, carrier]
    retrain: false
  quality: {metric: accuracy, floor: 0.6, minimum_rows: 50}
  metrics: all
"""


@pytest.fixture(scope="session")
def smallest():
    return SMALLEST


@pytest.fixture(scope="session")
def full():
    return FULL
