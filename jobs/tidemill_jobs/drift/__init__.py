"""
Drift: how far a window's profile is from the baseline's, and what that means.

    comparison = compare(baseline, current, DriftSettings())
    triage(comparison, baseline, current).kind  # none, broken_upstream or shift
"""

from tidemill_jobs.drift.compare import compare
from tidemill_jobs.drift.distances import Distances
from tidemill_jobs.drift.findings import (
    FILE_NAME,
    Comparison,
    ComparisonError,
    DriftSettings,
    FeatureDrift,
    Finding,
)
from tidemill_jobs.drift.signs import BROKEN, Sign, Triage
from tidemill_jobs.drift.triage import triage

__all__ = [
    "BROKEN",
    "FILE_NAME",
    "Comparison",
    "ComparisonError",
    "Distances",
    "DriftSettings",
    "FeatureDrift",
    "Finding",
    "Sign",
    "Triage",
    "compare",
    "triage",
]
