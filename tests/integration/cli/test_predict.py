"""`predict`: rows go to the endpoint in requests, predictions come back in order."""

import json

import pytest
from botocore.exceptions import ClientError

from .conftest import NAME, REF


class FakeEndpoint:
    """Answers each row with its x, or refuses."""

    def __init__(self):
        self.requests = []
        self.refusal = None
        self.refused_from = 1

    def predict(self, name, rows):
        assert name == NAME
        self.requests.append(rows)
        if self.refusal and len(self.requests) >= self.refused_from:
            raise self.refusal
        return [{"score": float(row["x"]), "label": "late"} for row in rows]


@pytest.fixture
def endpoint(stack, life):
    stack.endpoints = FakeEndpoint()
    return stack.endpoints


def refused(code, message="no", **more):
    return ClientError({"Error": {"Code": code, "Message": message}, **more}, "InvokeEndpoint")


def test_a_csv_is_answered_line_by_line(run, endpoint, tmp_path):
    (tmp_path / "rows.csv").write_text("x,name\n0.5,a\n1,b\n")

    answer = run("predict", REF, tmp_path / "rows.csv")

    assert answer.exit_code == 0, answer.output
    assert answer.stdout == "late\t0.5\nlate\t1.0\n"
    assert endpoint.requests == [[{"x": "0.5", "name": "a"}, {"x": "1", "name": "b"}]]


def test_standard_input_and_json(document, documented, endpoint, life):
    life.serve(3)
    content = json.dumps([{"x": 1}, {"x": 2}])

    found = document("predict", REF, "-", "--format", "json", input=content)

    assert tuple(found) == documented("predict")
    assert found["version"] == 3
    assert [answer["score"] for answer in found["predictions"]] == [1.0, 2.0]


def test_many_rows_go_in_several_requests_and_stay_in_order(run, endpoint, tmp_path, monkeypatch):
    monkeypatch.setattr("tidemill_cli.predictions.MOST_ROWS", 2)
    (tmp_path / "rows.jsonl").write_text("".join(f'{{"x": {n}}}\n' for n in range(5)))

    answer = run("predict", REF, tmp_path / "rows.jsonl")

    assert [len(rows) for rows in endpoint.requests] == [2, 2, 1]
    assert answer.stdout.splitlines() == [f"late\t{float(n)}" for n in range(5)]


@pytest.mark.parametrize(
    ("refusal", "status", "said"),
    [
        (refused("ValidationError", "Endpoint x not found."), 1, "has no version that answers"),
        (
            refused("ModelError", OriginalStatusCode=400, OriginalMessage="row 1: x is no number"),
            2,
            "the endpoint refused rows 1 to 2: row 1: x is no number",
        ),
        (
            refused("ModelError", OriginalStatusCode=400, OriginalMessage='{"error": "Row 1"}'),
            2,
            "the endpoint refused rows 1 to 2: Row 1\n",
        ),
        (refused("ModelError", "died", OriginalStatusCode=500), 1, "failed on rows 1 to 2: died"),
        (refused("ThrottlingException"), 1, "InvokeEndpoint was refused"),
        (refused("AccessDeniedException"), 3, "AWS does not allow this"),
    ],
)
def test_what_the_endpoint_refuses_is_said(run, endpoint, refusal, status, said):
    endpoint.refusal = refusal

    answer = run("predict", REF, "-", "--format", "csv", input="x\n1\n2\n")

    assert answer.exit_code == status
    assert said in answer.stderr


def test_a_refusal_of_later_rows_says_which(run, endpoint, tmp_path, monkeypatch):
    monkeypatch.setattr("tidemill_cli.predictions.MOST_ROWS", 2)
    (tmp_path / "rows.csv").write_text("x\n1\n2\nthree\n")
    endpoint.refused_from = 2
    endpoint.refusal = refused("ModelError", OriginalStatusCode=400, OriginalMessage="Row 1")

    answer = run("predict", REF, tmp_path / "rows.csv")

    assert answer.exit_code == 2
    assert answer.stdout.splitlines() == ["late\t1.0", "late\t2.0"]
    assert "the endpoint refused row 3 (counting from 1): Row 1" in answer.stderr


def test_a_model_that_never_served_has_nothing_to_answer_with(run, life):
    answer = run("predict", REF, "-", "--format", "csv", input="x\n1\n")

    assert answer.exit_code == 1
    assert "tidemill versions flights/delay" in answer.stderr


def test_the_real_adapter_is_asked(run, cloud, life):
    life.serve(1)
    cloud.sagemaker.answers = [{"score": 0.25}]

    assert run("predict", REF, "-", "--format", "csv", input="x\n1\n").stdout == "0.25\n"


def test_answers_that_are_missing_are_noticed(run, cloud, life):
    life.serve(1)
    cloud.sagemaker.answers = [{"score": 0.25}]

    answer = run("predict", REF, "-", "--format", "csv", input="x\n1\n2\n")

    assert answer.exit_code == 1
    assert "answered 1 of 2 rows" in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "content", "said"),
    [
        (("-",), "x\n1\n", "--format"),
        (("-", "--format", "csv"), "x,y\n1\n", "line 2: 1 values"),
        (("-", "--format", "csv"), "x\n", "holds no row"),
        (("-", "--format", "xml"), "", "'xml' is not one of"),
        (("gone.csv",), "", "gone.csv cannot be read"),
        (("/tmp",), "", "--format"),
        (("/tmp", "--format", "csv"), "", "is a directory"),
    ],
)
def test_what_cannot_be_asked_is_malformed(run, endpoint, arguments, content, said):
    answer = run("predict", REF, *arguments, input=content)

    assert answer.exit_code == 2
    assert said in answer.stderr


def test_predict_of_no_model_is_malformed(run, cloud):
    assert run("predict", "flights/gone", "-", "--format", "csv", input="x\n1\n").exit_code == 2
