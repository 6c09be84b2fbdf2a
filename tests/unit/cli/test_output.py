"""Tables stay aligned and narrow; times and sizes read as people say them."""

from datetime import datetime

import click
import pytest

from tidemill_cli import output

NOW = datetime(2026, 11, 20, 14, 3, 5).astimezone().timestamp()  # local on purpose


def test_columns_are_aligned_and_what_is_not_there_is_a_dash():
    rows = [{"a": "x", "b": 1, "c": None}, {"a": "longer", "b": 0.123456, "c": True}]

    assert output.table(rows, {"a": "name", "b": "value", "c": "last"}) == [
        "NAME    VALUE   LAST",
        "x       1       –",  # noqa: RUF001  # as tables have it
        "longer  0.1235  yes",
    ]


def test_a_value_of_several_lines_stays_one_row():
    assert output.table([{"a": "one\ntwo"}], {"a": "a"})[1] == "one two"


def test_on_a_terminal_the_last_column_is_cut_to_its_width(monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "40")

    line = output.table([{"a": "run", "b": "x" * 200}], {"a": "a", "b": "b"})[1]

    assert len(line) <= 40
    assert line.endswith("…")


def test_in_a_pipe_it_stays_whole(monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: False, raising=False)
    monkeypatch.setenv("COLUMNS", "40")

    assert output.table([{"b": "x" * 200}], {"b": "b"})[1] == "x" * 200


def test_colour_does_not_move_columns():
    lines = output.table(
        [{"s": "failed", "r": "why"}, {"s": "ok", "r": "fine"}], {"s": "s", "r": "r"}
    )

    assert "\x1b[31mfailed" in lines[1]
    assert click.unstyle(lines[1]) == "failed  why"
    assert lines[2] == "ok      fine"


@pytest.mark.parametrize(("value", "wanted"), [("1", False), ("", None), (None, None)])
def test_no_color_is_respected(monkeypatch, value, wanted):
    if value is None:
        monkeypatch.delenv("NO_COLOR", raising=False)
    else:
        monkeypatch.setenv("NO_COLOR", value)

    assert output.wants_colour() is wanted


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "–"),  # noqa: RUF001  # as tables have it
        (-1, "0.0 s"),
        (4.21, "4.2 s"),
        (59.4, "59 s"),
        (125, "2 m 05 s"),
        (3_780, "1 h 03 m"),
        (273_600, "3 d 04 h"),
    ],
)
def test_a_duration(seconds, said):
    assert output.span(seconds) == said


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 B"), (812, "812 B"), (4_100_000, "4.1 MB"), (2e12, "2.0 TB"), (5e15, "5000.0 TB")],
)
def test_a_size(count, said):
    assert output.size(count) == said


@pytest.mark.parametrize(
    ("ago", "said"),
    [(0, "14:03:05"), (86_400, "19 Nov 14:03"), (400 * 86_400, "2025-10-16"), (None, "–")],  # noqa: RUF001
)
def test_a_moment(ago, said):
    moment = None if ago is None else NOW - ago

    assert output.local_time(moment, NOW) == said


def test_json_keeps_letters(capsys):
    output.put_json({"name": "Zürich"})

    assert "Zürich" in capsys.readouterr().out
