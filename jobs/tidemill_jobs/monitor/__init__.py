"""
SageMaker Model Monitor's files, written from our profiles: tools that read its files read ours.

`statistics.py` and `constraints.py` are a baseline's two, `violations.py` is what a look at the
traffic found.
"""

from tidemill_jobs.monitor.constraints import constraints, monitoring_config
from tidemill_jobs.monitor.statistics import statistics
from tidemill_jobs.monitor.text import to_text
from tidemill_jobs.monitor.violations import violations

__all__ = ["constraints", "monitoring_config", "statistics", "to_text", "violations"]
