"""
constraints.json: what later rows must meet, suggested from a baseline, and with what thresholds.

The thresholds are the spec's (`watch.drift`) and those of our own comparison, so that another
tool that reads the file judges as we do.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

from tidemill_jobs.drift.findings import DriftSettings
from tidemill_jobs.monitor.text import VERSION
from tidemill_jobs.profile import Column, Profile

DOMAIN: Final = 100  # categories up to which a column's values are taken for the only ones


def monitoring_config(settings: DriftSettings, *, emits_metrics: bool = True) -> dict[str, Any]:
    """
    Return `monitoring_config`: how strictly later rows are judged.

    Its `datatype_check_threshold` and `domain_content_threshold` are the least shares of a column's
    values that must be of its type, and among its categories, as Model Monitor takes them.
    """
    return {
        "evaluate_constraints": "Enabled",
        "emit_metrics": "Enabled" if emits_metrics else "Disabled",
        "datatype_check_threshold": 1 - settings.type_share,
        "domain_content_threshold": 1 - settings.new_categories,
        "distribution_constraints": {
            "perform_comparison": "Enabled",
            "comparison_threshold": settings.threshold,
            "comparison_method": "Simple" if settings.distance == "simple" else "Robust",
            "categorical_comparison_threshold": settings.threshold,
            "categorical_drift_method": settings.categorical,
        },
    }


def constraints(profile: Profile, monitoring: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return constraints.json of a profile.

    Args:
        profile: The baseline.
        monitoring: A `monitoring_config`.
    """
    return {
        "version": VERSION,
        "features": [_feature(name, column) for name, column in profile.columns.items()],
        "monitoring_config": dict(monitoring),
    }


def _feature(name: str, column: Column) -> dict[str, Any]:
    feature: dict[str, Any] = {
        "name": name,
        "inferred_type": column.inferred_type,
        "completeness": column.present / column.rows if column.rows else 0.0,
    }
    if column.inferred_type in ("Integral", "Fractional"):
        low = column.numbers.low if column.numbers else math.nan
        return feature | {"num_constraints": {"is_non_negative": low >= 0}}
    if column.inferred_type == "String" and column.complete and len(column.categories) <= DOMAIN:
        return feature | {"string_constraints": {"domains": sorted(column.categories)}}
    return feature
