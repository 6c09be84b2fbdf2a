"""An endpoint is asked what it never learned from: drift is found, and the wheel turns again."""

import random

import pytest

from deployed import spec_text, table

pytestmark = pytest.mark.e2e

MODEL = "tests/drifts"


def test_drift_in_real_traffic_is_found_and_starts_a_run(typed, answer, stack, tmp_path):
    drift = {"windows": 1, "of": 1, "minimum_rows": 100, "cooldown": "0s"}
    (tmp_path / "model.yaml").write_text(spec_text("drifts", watch={"drift": drift}))
    (tmp_path / "a.csv").write_text(table(600))
    assert typed("tidemill", "apply", tmp_path / "model.yaml")[0] == 0
    answer("upload", MODEL, tmp_path / "a.csv")
    assert typed("tidemill", "wait", MODEL, "--timeout", "3m")[0] == 0

    chance = random.Random(1)
    rows = []  # half of them come from elsewhere: an offset would be a broken upstream
    for n in range(600):
        x = chance.gauss(2, 0.5) if n % 2 else chance.gauss(0, 1)
        rows.append(f"{x:.4f},{n % 7},{chance.choice(['red', 'green', 'blue'])}")
    (tmp_path / "rows.csv").write_text("\n".join(["x,z,colour", *rows]) + "\n")
    answer("predict", MODEL, tmp_path / "rows.csv")
    x = rows[0].partition(",")[0]
    stack.captured(MODEL, x)  # not only the rollout's own question, which is captured too

    status, out, _ = typed("tidemill", "watch", MODEL, "--wait", "--json")
    assert status == 1, f"something drifted: {out}"
    assert '"verdict":"found"' in out.replace(" ", "")

    stack.ended_run(MODEL, 2)
    told = {(row["kind"], row["verdict"]) for row in answer("why", MODEL)}
    assert {("watch", "found"), ("finding", "shift"), ("trigger", "start")} <= told
    _, why, _ = typed("tidemill", "why", MODEL)
    assert "drift was found" in why
    run = stack.runs(MODEL)[1]
    assert run["trigger"] == "drift"
