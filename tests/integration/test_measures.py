import json

import pytest

from tidemill.adapters.bus import Bus
from tidemill.adapters.measures import tally
from tidemill.contracts.domain_events import RunFailed, RunStarted, TriggerDecided


class Events:
    def put_events(self, Entries):
        return {"FailedEntryCount": 0}


def written(capsys):
    """Return what CloudWatch would make of the log lines: metrics as (name, value, dimensions)."""
    found = []
    for line in capsys.readouterr().out.splitlines():
        document = json.loads(line)
        for directive in document["_aws"]["CloudWatchMetrics"]:
            assert directive["Namespace"] == "Tidemill"
            (names,) = directive["Dimensions"]
            dimensions = {name: document[name] for name in names if name != "service"}
            for metric in directive["Metrics"]:
                assert metric["Unit"] == "Count"
                found.append((metric["Name"], document[metric["Name"]], dimensions))
    return found


def test_each_kind_is_one_log_line(capsys):
    came = ["accept", "quarantine", "accept", "accept"]

    assert tally("Uploads", came, stack="tidemill") == {"accept": 3, "quarantine": 1}

    assert written(capsys) == [
        ("Uploads", [3.0], {"stack": "tidemill", "verdict": "accept"}),
        ("Uploads", [1.0], {"stack": "tidemill", "verdict": "quarantine"}),
    ]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (
            TriggerDecided("p", "m", trigger="t", verdict="defer", run="r"),
            [("Triggers", [1.0], {"stack": "tidemill", "verdict": "defer"})],
        ),
        (
            RunFailed("p", "m", run="r", status="refused", reason="no"),
            [("RunsEnded", [1.0], {"stack": "tidemill", "status": "refused"})],
        ),
        (RunStarted("p", "m", run="r", trigger="data", why="it came"), []),
    ],
)
def test_what_subscribers_hear_of_is_counted(capsys, event, expected):
    Bus(Events(), "tidemill").put(event)

    assert written(capsys) == expected
