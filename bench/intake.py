"""How long an upload waits for its verdict, and how many get one per second."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import rows
from cloud import BenchError, Cloud, Workspace, until
from figures import Figure, Result, percentile

REF = "bench/intake"
UPLOADS, QUICK_UPLOADS = 200, 20
PAUSE_SECONDS = 0.1
SENDERS = 8
SMALL_ROWS = 20
PATIENCE_SECONDS = 120.0


def measure(workspace: Workspace) -> Result:
    """Put files one at a time, ten a second at most; then as many at once as eight senders can."""
    count = QUICK_UPLOADS if workspace.quick else UPLOADS
    bodies = [rows.as_csv(rows.table(SMALL_ROWS, seed)) for seed in range(2 * count)]
    with workspace.cloud("intake") as cloud:
        cloud.deploy()
        cloud.apply(rows.spec("intake", quiet="1h"))  # nothing may train meanwhile
        cloud.put(REF, "warm-up.csv", rows.as_csv(rows.table(SMALL_ROWS, seed=2 * count)))
        _verdicts(cloud, 1)
        returned = {}
        for number, body in enumerate(bodies[:count]):
            cloud.put(REF, f"paced-{number}.csv", body)
            returned[f"raw/{REF}/paced-{number}.csv"] = time.time()
            time.sleep(PAUSE_SECONDS)
        paced = _verdicts(cloud, count + 1)
        began = time.time()
        with ThreadPoolExecutor(SENDERS) as senders:
            names = [f"burst-{number}.csv" for number in range(count)]
            list(senders.map(cloud.put, [REF] * count, names, bodies[count:]))
        sent = time.time() - began
        judged = _verdicts(cloud, 2 * count + 1)
        _check_ledger(cloud, 2 * count + 1)
    waits = [1000 * (paced[key] - moment) for key, moment in returned.items()]
    seconds = max(judged.values()) - began
    figures = (
        Figure("PUT → admitted, p50", percentile(waits, 0.5), "ms", note=f"{count} files, paced"),
        Figure("PUT → admitted, p95", percentile(waits, 0.95), "ms", note="the same"),
        Figure(
            "admitted per second", count / seconds, "/s",
            note=f"{count} files, {SENDERS} senders ({sent:.1f} s); first PUT to last verdict",
        ),
    )  # fmt: skip
    return Result("From upload to verdict", figures, {"wait_ms": waits})


def _verdicts(cloud: Cloud, count: int) -> dict[str, float]:
    """
    Wait until so many uploads were judged; return when, by key.

    The function logs a verdict once it is written. The ledger's own time is when it began to
    judge, which would flatter us.
    """
    until(
        lambda: len(_judged(cloud)) >= count,
        PATIENCE_SECONDS,
        lambda: f"{len(_judged(cloud))} of {count} uploads have a verdict",
        pause=1.0,
    )
    return _judged(cloud)


def _judged(cloud: Cloud) -> dict[str, float]:
    found = {}
    for line in cloud.log_lines("uploads_judged"):
        said = json.loads(line)
        moment = datetime.strptime(said["timestamp"], "%Y-%m-%d %H:%M:%S,%f%z").timestamp()
        found |= dict.fromkeys(said["keys"], moment)
    return found


def _check_ledger(cloud: Cloud, count: int) -> None:
    entries = cloud.tidemill_json("why", REF)
    accepted = [item for item in entries if (item["kind"], item["verdict"]) == ("upload", "accept")]
    if len(accepted) != count:
        raise BenchError(f"{count} files were put, and the ledger has accepted {len(accepted)}")
