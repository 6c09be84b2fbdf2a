"""What a comparison holds: settings, findings in Model Monitor's words, one verdict per feature."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final, Literal, Self

from tidemill_jobs.drift.distances import Distances
from tidemill_jobs.errors import JobError

VERSION: Final = 1
FILE_NAME: Final = "comparison.json"

#: Model Monitor's `constraint_check_type`.
Check = Literal[
    "data_type_check",
    "completeness_check",
    "baseline_drift_check",
    "missing_column_check",
    "extra_column_check",
    "categorical_values_check",
]
Verdict = Literal["same", "drifted", "too_few_rows", "constant", "missing", "extra", "not_judged"]
Role = Literal["number", "category", "time", "unknown"]


class ComparisonError(JobError):
    """A document is no comparison, or one of a later version."""


@dataclass(frozen=True, slots=True)
class DriftSettings:
    """
    When a feature counts as drifted; shares and distances are 0 to 1.

    Attributes:
        distance: `robust` subtracts from the L-infinity distance what chance explains.
        threshold: A larger distance is a finding.
        categorical: How categories are judged: by their distance, or by chi-squared.
        minimum_rows: With fewer, of either side, there is no verdict.
        ignore: Features that are not looked at.
        completeness_drop: A feature may be missing in so many more of the rows.
        type_share: So many of the values may be of another type (datatype_check_threshold).
        new_categories: So many rows may have unknown categories (domain_content_threshold).
        false_discovery: By chi-squared, so many of the features found may be chance.
    """

    distance: Literal["robust", "simple"] = "robust"
    threshold: float = 0.1
    categorical: Literal["LInfinity", "ChiSquared"] = "LInfinity"
    minimum_rows: int = 500
    ignore: tuple[str, ...] = ()
    completeness_drop: float = 0.05
    type_share: float = 0.1
    new_categories: float = 0.1
    false_discovery: float = 0.01

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """Read them from a compiled spec's `watch.drift`; what it does not say is the default."""
        known = {name: document[name] for name in _names(cls) if name in document}
        if "ignore" in known:
            known["ignore"] = tuple(known["ignore"])
        return cls(**known)


@dataclass(frozen=True, slots=True)
class Finding:
    """One violated constraint: what was found (`value`), what is allowed, and a sentence."""

    feature: str
    check: Check
    value: float
    threshold: float
    sentence: str


@dataclass(frozen=True, slots=True)
class FeatureDrift:
    """
    What became of one feature.

    Attributes:
        feature: Its name.
        verdict: `drifted` when it has findings.
        role: How it is compared: as the baseline has it.
        rows: Rows of the window in which it is present.
        distances: All that apply.
        distance: The one that decides; None where none does.
        threshold: What it may be.
        q_value: The p-value, adjusted for the number of features; None without one.
        completeness: Share of rows that have it: in the baseline, and now.
        new: Shares of the window's rows by category that the baseline does not have, largest first.
        gone: Shares of the baseline's rows by category that the window does not have.
        findings: Its violated constraints.
        note: Why there is no verdict; empty when there is one.
    """

    feature: str
    verdict: Verdict
    role: Role = "unknown"
    rows: int = 0
    distances: Distances = field(default_factory=Distances)
    distance: float | None = None
    threshold: float = 0.0
    q_value: float | None = None
    completeness: tuple[float, float] = (0.0, 0.0)
    new: Mapping[str, float] = field(default_factory=dict)
    gone: Mapping[str, float] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    note: str = ""

    @property
    def severity(self) -> float:
        """The distance, or what a finding of another kind found if that is more; 0 to 1."""
        found = [_severity(finding) for finding in self.findings]
        return max(found, default=self.distance or 0.0)

    def clear(self, below: float) -> bool:
        """Return whether it is plainly the same: nothing found, and its distance is *below*."""
        if self.verdict in ("not_judged", "constant"):
            return True
        return self.verdict == "same" and (self.distance or 0.0) < below

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {**asdict(self), "distances": self.distances.document()}

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Read what `document` returned."""
        known = {name: document[name] for name in _names(cls) if name in document}
        return cls(
            **{
                **known,
                "distances": Distances.parse(known["distances"]),
                "completeness": tuple(known["completeness"]),
                "findings": tuple(_parsed(Finding, found) for found in known["findings"]),
            }
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """A window's profile held against the baseline's: rows of both, and every feature."""

    baseline_rows: int
    rows: int
    settings: DriftSettings
    features: tuple[FeatureDrift, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All violated constraints, in the features' order."""
        return tuple(found for feature in self.features for found in feature.findings)

    @property
    def verdict(self) -> Literal["same", "drifted", "too_few_rows"]:
        """What it comes to; a column more changes nothing that a model is asked."""
        if self.drifted:
            return "drifted"
        few = min(self.rows, self.baseline_rows) < max(1, self.settings.minimum_rows)
        return "too_few_rows" if few else "same"

    @property
    def worst(self) -> tuple[FeatureDrift, ...]:
        """The features, the farthest first."""
        return tuple(sorted(self.features, key=lambda one: (-one.severity, one.feature)))

    @property
    def drifted(self) -> dict[str, float]:
        """How far each feature with findings is, the farthest first; without extra columns."""
        found = (one for one in self.worst if one.findings and one.verdict != "extra")
        return {one.feature: one.severity for one in found}

    def unclear(self, below: float) -> tuple[str, ...]:
        """Return the features that neither drifted nor are plainly the same (`clear`)."""
        return tuple(
            one.feature for one in self.features if not one.findings and not one.clear(below)
        )

    def document(self) -> dict[str, Any]:
        """Return it as JSON, for `FILE_NAME`."""
        return {
            "version": VERSION,
            "verdict": self.verdict,
            "baseline_rows": self.baseline_rows,
            "rows": self.rows,
            "settings": asdict(self.settings),
            "features": [feature.document() for feature in self.features],
        }

    @classmethod
    def parse(cls, document: Any) -> Self:
        """
        Read what `document` returned.

        Raises:
            ComparisonError: It is something else.
        """
        version = document.get("version") if isinstance(document, Mapping) else None
        if version != VERSION:
            raise ComparisonError(
                f"the comparison has version {version!r:.40}, and version {VERSION} is read here; "
                "compare again with this release."
            )
        try:
            return cls(
                document["baseline_rows"],
                document["rows"],
                DriftSettings.of(document["settings"]),
                tuple(map(FeatureDrift.parse, document["features"])),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as exc:
            raise ComparisonError(
                f"the document is no comparison ({exc!r}); compare again."
            ) from exc


def _severity(finding: Finding) -> float:
    if finding.check == "completeness_check":  # the value is what is left, not what is lost
        return 1.0 - finding.value
    return finding.value if finding.check != "extra_column_check" else 0.0


def _parsed(kind: type[Finding], document: Mapping[str, Any]) -> Finding:
    return kind(**{name: document[name] for name in _names(kind)})


def _names(kind: Any) -> tuple[str, ...]:
    return tuple(one.name for one in fields(kind))


def known(value: float) -> float | None:
    """Return a number, or None for NaN: JSON has none."""
    return None if math.isnan(value) else value
