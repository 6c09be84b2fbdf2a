"""Where a version's baseline is: its model package names it, as Model Monitor's tools expect."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

PROFILE: Final = "profile.json.gz"  # as the jobs call it; a model package has no place for it


@dataclass(frozen=True, slots=True)
class Baseline:
    """The URIs of a version's baseline: our profile, and Model Monitor's two files."""

    profile: str
    statistics: str
    constraints: str

    @property
    def prefix(self) -> str:
        """Where all three lie; no slash at the end."""
        return self.statistics.rpartition("/")[0]


def baseline_of(package: Mapping[str, Any]) -> Baseline | None:
    """Return the baseline of a described model package, None for one from before there were any."""
    quality = package.get("DriftCheckBaselines", {}).get("ModelDataQuality", {})
    if not {"Statistics", "Constraints"} <= quality.keys():
        return None
    statistics = quality["Statistics"]["S3Uri"]
    return Baseline(
        profile=f"{statistics.rpartition('/')[0]}/{PROFILE}",
        statistics=statistics,
        constraints=quality["Constraints"]["S3Uri"],
    )


def unusable_baseline(version: int, baseline: str, why: str) -> str:
    """Return the sentence about a version whose baseline cannot be read, and the next step."""
    return (
        f"the baseline of version {version} ({baseline}) cannot be read: {why.rstrip('.')}. Bring "
        "back the object's version before, or start a run: the version that it registers has its "
        "own baseline"
    )


def without_baseline(version: int) -> str:
    """Return the sentence about a version that has no baseline, and the next step."""
    return (
        f"version {version} was registered before versions had a baseline; apply the model's spec "
        "again and start a run: the version that it registers has one"
    )
