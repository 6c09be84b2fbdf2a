"""The way of a failing file through the second look, from documents to documents."""

import json

import pytest

from tidemill_jobs.check import facts_of
from tidemill_jobs.contract.explain import explain
from tidemill_jobs.contract.facts import ReadAs
from tidemill_jobs.contract.infer import infer
from tidemill_jobs.lake import ObjectVersion

SPEC = {
    "version": 1,
    "data": {"format": "csv", "target": "late", "id": None, "timestamp": None, "exclude": []},
    "prepare": {"validation": 0.1, "test": 0.1, "seed": 1},
    "train": {"problem": "binary"},
}
GOOD = "wind,late\n" + "".join(f"{n},{'yes' if n % 2 else 'no'}\n" for n in range(50))


@pytest.fixture
def explained(tmp_path, make_spec):
    def facts(text):
        path = tmp_path / "object"
        path.write_text(text)
        version = ObjectVersion("s3://lake/raw/air/late/may.csv", "v1", path.stat().st_size)
        return facts_of(path, version, "", ReadAs("csv", None, ()))

    def run(text, *, contract=True, reason=""):
        agreed = infer([facts(GOOD)], make_spec()).to_json() if contract else None
        found = facts(text).to_json()
        document, page = explain(
            tmp_path / "object", facts=found, spec=json.dumps(SPEC), contract=agreed,
            model="air/late", uploaded="2026-11-21T10:00:00Z", work=tmp_path, reason=reason,
        )  # fmt: skip
        return json.loads(document), page

    return run


def test_bad_cells_come_out_on_both(explained):
    document, page = explained(GOOD + "abc,yes\n")

    assert document["judgement"]["rule"] == "wrong_type"
    assert [(row["row"], row["value"]) for row in document["bad"]["rows"]] == [(52, "abc")]
    assert "line 52" in page


def test_a_file_that_cannot_be_read_needs_no_contract(explained):
    document, page = explained("wind,late\n1\n", contract=False)

    assert document["judgement"]["rule"] == "ragged_row"
    assert document["bad"]["rows"][0]["row"] == 2
    assert "Wrong number of cells" in page


def test_where_there_is_no_contract_the_page_says_why(explained):
    document, page = explained("wind,late\n1,\n", contract=False, reason="The target is empty.")

    assert document["judgement"]["rule"] == "no_contract"
    assert "The target is empty." in page
