"""The second look at a quarantined upload: its bad rows, as a document and as a page."""

import json
from pathlib import Path
from typing import Protocol

from tidemill.adapters.facts import facts_at
from tidemill.adapters.lake import Lake, split
from tidemill.adapters.plans import explained
from tidemill.adapters.quarantine import report_uri
from tidemill.adapters.specs import Specs
from tidemill.contracts.uploads import ExplainUpload
from tidemill.domain.admission import ObjectVersion
from tidemill.domain.second_look import is_small
from tidemill.errors import NotFoundError
from tidemill.times import iso


class Explain(Protocol):
    """Finding bad rows, which lives with the jobs: `tidemill_jobs.contract.explain`."""

    def __call__(
        self,
        path: Path,
        *,
        facts: str,
        spec: str,
        contract: str | None,
        model: str,
        uploaded: str,
        work: Path,
        reason: str,
    ) -> tuple[str, str]:
        """Return the JSON document and the page about a local file."""


class Explaining:
    """Safe to repeat: a second look sees the same bytes, and writes to the same places."""

    def __init__(self, specs: Specs, lake: Lake, explain: Explain) -> None:
        self._specs = specs
        self._lake = lake
        self._explain = explain

    def look(self, request: ExplainUpload, work: Path) -> bool:
        """
        Write the report and the page of one upload in place of what was known at first.

        Args:
            request: Which object version, and what it was judged by.
            work: A folder with room for the file, unpacked.

        Returns:
            False when the version has been deleted since, a newer spec would take it, or it is too
            large and no job has looked at it; what was written when it was set aside stays.

        Raises:
            NotFoundError: There is no such model, or its facts or contract are not there.
        """
        version = self._lake.look(request.bucket, request.key, request.version_id, "")
        if version is None:
            return False
        small = is_small(version.key, version.size)
        found = self._again(request, work) if small else self._by_job(request, version)
        if found is None or json.loads(found[0])["judgement"]["verdict"] != "quarantine":
            return False
        report, page = found
        self._lake.put_text(
            report_uri(request.ref, version, "html"), page, kind="text/html; charset=utf-8"
        )
        self._lake.put_text(report_uri(request.ref, version, "json"), report)
        return True

    def _by_job(self, request: ExplainUpload, version: ObjectVersion) -> tuple[str, str] | None:
        """Return what the job that checked a large file left of it, if one did."""
        place = f"{explained(split(request.facts)[0], request.ref)}/{version.id}"
        report = self._lake.find_text(f"{place}.json")
        page = self._lake.find_text(f"{place}.html")
        return (report, page) if report and page else None

    def _again(self, request: ExplainUpload, work: Path) -> tuple[str, str] | None:
        """Read a file once more; None when it was deleted meanwhile."""
        spec = self._specs.get(request.ref).to_json()
        facts = facts_at(self._lake, request.facts)
        if facts is None:
            raise _not_there(request.facts)
        contract = self._text(request.contract) if request.contract else None
        path = work / "upload"
        version = self._lake.fetch(request.bucket, request.key, request.version_id, path)
        if version is None:
            return None
        return self._explain(
            path,
            facts=facts,
            spec=spec,
            contract=contract,
            model=request.ref,
            uploaded=iso(version.uploaded),
            work=work,
            reason=request.reason,
        )

    def _text(self, uri: str) -> str:
        text = self._lake.find_text(uri)
        if text is None:
            raise _not_there(uri)
        return text


def _not_there(uri: str) -> NotFoundError:
    return NotFoundError(f"{uri} is not there; the file's first bad place stays known")
