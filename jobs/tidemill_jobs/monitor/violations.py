"""constraint_violations.json: what of a baseline's constraints later rows break."""

from collections.abc import Iterable
from typing import Any

from tidemill_jobs.drift.findings import Finding


def violations(findings: Iterable[Finding]) -> dict[str, Any]:
    """Return constraint_violations.json of a comparison's findings, in their order."""
    return {
        "violations": [
            {
                "feature_name": finding.feature,
                "constraint_check_type": finding.check,
                "description": finding.sentence,
            }
            for finding in findings
        ]
    }
