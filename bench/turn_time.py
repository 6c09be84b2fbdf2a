"""How long a turn takes: from the delivery's closing to the new version's first answer."""

import rows
from cloud import Workspace
from figures import Figure, Result, median
from turning import Asker, Turn, turn

REF = "bench/turn"
ROWS, QUICK_ROWS = 80_000, 4_000
UPDATES, QUICK_UPDATES = 3, 1
GOAL_SECONDS = 30.0


def measure(workspace: Workspace) -> Result:
    """Turn the wheel once to create the endpoint, then a few times to update it."""
    size = QUICK_ROWS if workspace.quick else ROWS
    count = QUICK_UPDATES if workspace.quick else UPDATES
    turns: list[Turn] = []
    with workspace.cloud("turn-time") as cloud:
        cloud.deploy()
        cloud.apply(rows.spec("turn", quiet="1s"))
        asker = Asker(cloud, REF)
        for seed in range(1, count + 2):
            body = rows.as_csv(rows.table(size, seed))
            turns.append(turn(cloud, REF, asker, body))
    return _result(turns, size)


def _result(turns: list[Turn], size: int) -> Result:
    first, *updates = turns
    parts = {name: [each.parts[name] for each in updates] for name in first.parts}
    figures = [
        Figure(
            "turn time, endpoint updated", median([each.seconds for each in updates]), "s",
            GOAL_SECONDS, f"median of {len(updates)} turns",
        ),
        *(
            Figure(f"— {name}", median(samples), "s", note="median part of those turns")
            for name, samples in parts.items()
        ),
        Figure(
            "turn time, endpoint created", first.seconds, "s", GOAL_SECONDS,
            "the first turn, on a cold cloud",
        ),
        Figure(
            "until verified", median([each.verified - each.closed for each in updates]), "s",
            note="closing to smoke rows answered and champion recorded",
        ),
        Figure(
            "window", median([each.closed - each.put for each in updates]), "s",
            note="upload to closing, with `quiet: 1s`; no part of the turn time",
        ),
    ]  # fmt: skip
    samples = {"turn": [each.seconds for each in turns], **parts}
    return Result(f"Turn time, {size:,} rows x {rows.COLUMNS} columns", tuple(figures), samples)
