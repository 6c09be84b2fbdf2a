"""
The bad rows of files that are too large for a function to read again.

A check that runs as a job has the file on its disk and hours of time. So whatever in it cannot be
used is looked at again right there, by the same code that `explain_upload` runs for smaller files,
and what comes of it is left beside the facts: `<explained>/<id>.json` and `.html`. Whether the
upload is set aside is decided later; then `explain_upload` puts both beside the data.
"""

import importlib
import logging
from dataclasses import dataclass, field
from pathlib import Path

from tidemill_jobs.contract.document import Contract
from tidemill_jobs.contract.facts import Facts
from tidemill_jobs.contract.judge import judge
from tidemill_jobs.lake import Lake
from tidemill_jobs.spec import Spec

log = logging.getLogger(__name__)

MOST_FILES = 20  # of one job; who delivers more corrects the export, not rows


@dataclass(frozen=True, slots=True)
class Explained:
    """
    Where a second look is put, and what it needs; from plan.json.

    `contract` is the URI of the contract in force when the check was planned; None without one.
    """

    uri: str
    spec: str
    model: str
    contract: str | None
    uploaded: dict[str, str]  # by object: when, ISO 8601


@dataclass(slots=True)
class SecondLook:
    """Safe to repeat: a second look sees the same bytes, and writes to the same places."""

    lake: Lake
    plan: Explained
    _looked: int = 0
    _contract: str | None = field(default=None, init=False)
    _asked: bool = field(default=False, init=False)

    def is_worth_it(self, facts: Facts) -> bool:
        """Say whether a file has bad rows that its owner should know by name."""
        if self._looked >= MOST_FILES:
            return False
        if facts.status != "read":
            return facts.row is not None
        contract = self._agreed()
        if contract is None:
            return False
        judged = judge(facts, Contract.parse(contract), Spec.parse(self.plan.spec).check)
        return judged.verdict == "quarantine" and judged.row is not None

    def look(self, facts: Facts, path: Path, work: Path) -> None:
        """Write document and page; what goes wrong is logged, since a check must not fail by it."""
        self._looked += 1
        try:
            # Imported here: the functions' layer for checks has no DuckDB.
            explaining = importlib.import_module("tidemill_jobs.contract.explain")
            report, page = explaining.explain(
                path,
                facts=facts.to_json(),
                spec=self.plan.spec,
                contract=self._agreed(),
                model=self.plan.model,
                uploaded=self.plan.uploaded.get(f"{facts.uri} {facts.version_id}", ""),
                work=work,
            )
            self.lake.put_text(page, f"{self.plan.uri}/{facts.id}.html")
            self.lake.put_text(
                report, f"{self.plan.uri}/{facts.id}.json"
            )  # last: it says all is there
        except Exception:
            log.exception("the bad rows of %s cannot be named; the first is known", facts.uri)

    def _agreed(self) -> str | None:
        if not self._asked and self.plan.contract is not None:
            self._contract = self.lake.find_text(self.plan.contract)
        self._asked = True
        return self._contract
