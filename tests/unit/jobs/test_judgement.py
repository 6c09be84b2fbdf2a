"""`python -m tidemill_jobs judge`: facts in, a verdict out, by a contract or by the first one."""

import json

import pytest

from tidemill_jobs import facts, judgement

SPEC = {
    "version": 1,
    "project": "p",
    "model": "m",
    "data": {"format": "csv", "target": "late", "id": None, "timestamp": None, "exclude": []},
    "prepare": {"validation": 0.15, "test": 0.15, "seed": 0},
    "train": {"algorithm": "xgboost", "problem": "binary", "hyperparameters": {}},
    "evaluate": {"metric": "auc", "direction": "maximize", "minimum": 0.0},
}
TABLE = "dep,late\n" + "".join(f"{n},{n % 2}\n" for n in range(200))


@pytest.fixture
def judged(tmp_path, capsys):
    """Write a table, and have its facts judged."""

    def act(text, *more):
        (tmp_path / "a.csv").write_text(text)
        facts.main([str(tmp_path / "a.csv")])
        (tmp_path / "facts.json").write_text(capsys.readouterr().out)
        (tmp_path / "spec.json").write_text(json.dumps(SPEC))
        arguments = [str(tmp_path / "facts.json"), "--spec", str(tmp_path / "spec.json")]
        status = judgement.main([*arguments, *more])
        return status, json.loads(capsys.readouterr().out)

    return act


def test_the_first_file_is_judged_by_the_contract_that_it_gives(judged):
    status, found = judged(TABLE)

    assert (status, found["verdict"], found["rows"]) == (0, "accept", 200)


def test_a_file_that_gives_no_contract_is_quarantined_with_a_reason(judged):
    status, found = judged(TABLE.replace("late", "on_time"))

    assert (status, found["verdict"]) == (1, "quarantine")
    assert "late" in found["reason"]


def test_a_contract_judges_a_later_file(judged, tmp_path):
    from tidemill_jobs.contract.facts import Facts  # noqa: PLC0415  # to make a contract
    from tidemill_jobs.contract.first import infer_first  # noqa: PLC0415  # likewise
    from tidemill_jobs.spec import Spec  # noqa: PLC0415  # likewise

    judged(TABLE)
    contract = infer_first([Facts.parse((tmp_path / "facts.json").read_bytes())], Spec.of(SPEC))
    (tmp_path / "contract.json").write_text(contract.to_json())

    status, found = judged(
        TABLE.replace("7,1\n", "x,1\n"), "--contract", str(tmp_path / "contract.json")
    )

    assert (status, found["rule"], found["column"]) == (1, "wrong_type", "dep")


def test_what_is_no_facts_document_is_called_wrongly(tmp_path, capsys):
    (tmp_path / "x.json").write_text("{}")
    path = str(tmp_path / "x.json")

    with pytest.raises(SystemExit) as ended:
        judgement.main([path, "--spec", path])

    assert ended.value.code == 2
    assert capsys.readouterr().err
