import json

import pytest

from tidemill_jobs.errors import ValueRefusedError
from tidemill_jobs.features import Column, Features, Target
from tidemill_jobs.payload import RequestRefusedError, negotiate, parse, render

FEATURES = Features(
    problem="binary",
    target=Target("late", (False, True)),
    header=("id", "wind", "origin"),
    columns=(
        Column("wind", "number", ("wind",)),
        Column("origin", "category", ("origin",), categories=("Oslo",)),
    ),
    dropped=(),
    notes=(),
)
ROW = {"wind": "7", "origin": "Oslo"}
CSV, JSON, LINES = "text/csv", "application/json", "application/jsonlines"


def rows(kind, text):
    return parse(kind, text.encode() if isinstance(text, str) else text, FEATURES).rows


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("wind,origin\n7,Oslo\n", [ROW]),
        ("origin,extra,wind\r\nOslo,x,7\r\n", [{**ROW, "extra": "x"}]),
        ("7,Oslo", [ROW]),
        ("7,Oslo\n\n", [ROW]),
        ("f1,7,Oslo\n", [{**ROW, "id": "f1"}]),
        ("\ufeff7,Oslo\n", [ROW]),
        ('7,"Nice, ""FR""\n"\n', [{"wind": "7", "origin": 'Nice, "FR"\n'}]),
        ("wind,id\n7,x\n", [{"wind": "7", "id": "x"}]),  # half named: features.py says what lacks
    ],
)
def test_csv_with_and_without_a_header(text, expected):
    assert rows(CSV, text) == expected


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        (CSV, "", "no rows"),
        (CSV, "wind,origin\n", "no rows"),
        (CSV, "wind,origin\n7,Oslo\n7\n", "Row 2 has 1 cells where the header has 2"),
        (
            CSV,
            "7,Oslo\n1,2,3,4\n",
            "Row 2 has 4 cells; send 2 as the model reads them .wind, origin.",
        ),
        (CSV, "wind,wind\n1,2\n", "Two columns are called 'wind'"),
        (CSV, '7,"Oslo\n', "not CSV"),
        (CSV, b"7,\xff\n", "not UTF-8: byte 0xff at offset 2"),
        (JSON, "{", "The body is not JSON"),
        (JSON, "3", "neither an object nor a list"),
        (JSON, "[]", "no rows"),
        (JSON, '{"instances": []}', "no rows"),
        (JSON, "[1, 2]", "Row 1 is neither an object nor a list of cells"),
        (JSON, "[[1]]", "Row 1 has 1 cells"),
        (JSON, "[" * 100_000, "not JSON"),
        (LINES, '{"wind": 1}\nnope\n', "Row 2 is not JSON"),
        (LINES, "\n", "no rows"),
    ],
)
def test_a_bad_body_is_refused_by_row(kind, text, said):
    with pytest.raises(ValueRefusedError, match=said):
        rows(kind, text)


def test_json_as_object_list_cells_and_instances():
    row = {"wind": 7, "origin": None}
    for text, shape in (
        (json.dumps(row), "object"),
        (json.dumps([row]), "list"),
        ("[[7, null]]", "list"),
        (json.dumps({"instances": [row]}), "instances"),
        ('{"instances": [[7, null]]}', "instances"),
    ):
        request = parse(JSON, text.encode(), FEATURES)
        assert (request.rows, request.shape) == ([row], shape)
    assert rows(JSON, '[["f1", 7, null]]') == [{**row, "id": "f1"}]


def test_json_lines_have_a_row_per_line():
    assert rows(LINES, '{"wind": 1}\n\n["Oslo", 2]\r\n')[0] == {"wind": 1}
    assert len(rows(LINES, '{"wind": 1}\n[2, "Oslo"]')) == 2


@pytest.mark.parametrize(
    ("content_type", "accept", "kinds"),
    [
        ("text/csv", "", (CSV, CSV)),
        ("Text/CSV; charset=UTF-8", "*/*", (CSV, CSV)),
        ("application/json", "text/csv", (JSON, CSV)),
        ("application/x-ndjson", "application/jsonl", (LINES, LINES)),
        ("text/csv", "text/html, application/json;q=0.9", (CSV, JSON)),
        ("application/json", "application/*", (JSON, JSON)),
    ],
)
def test_types_are_negotiated(content_type, accept, kinds):
    assert negotiate(content_type, accept) == kinds


@pytest.mark.parametrize(
    ("content_type", "accept", "status"),
    [
        ("", "", 415),
        ("application/x-npy", "", 415),
        ("text/csv; charset=latin-1", "", 415),
        ("text/csv", "image/png", 406),
    ],
)
def test_other_types_are_refused(content_type, accept, status):
    with pytest.raises(RequestRefusedError) as caught:
        negotiate(content_type, accept)
    assert caught.value.status == status


BINARY = [{"score": 0.25, "label": False}, {"score": 1e-05, "label": True}]
MULTI = [{"label": "a,b", "probabilities": {"a,b": 1.0}}]


def test_answers_have_the_shape_of_the_request():
    assert render(CSV, BINARY, "list") == b"0.25\n1e-05\n"
    assert render(CSV, MULTI, "list") == b'"a,b"\n'
    assert json.loads(render(JSON, BINARY[:1], "object")) == BINARY[0]
    assert json.loads(render(JSON, BINARY, "list")) == BINARY
    assert json.loads(render(JSON, BINARY, "instances")) == {"predictions": BINARY}
    assert [json.loads(x) for x in render(LINES, BINARY, "list").splitlines()] == BINARY
