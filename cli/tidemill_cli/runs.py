"""`start`, `runs`, `follow`, `wait`: what runs, what ran, and how it went."""

# ruff: noqa: PLC0415  # imports inside commands keep `tidemill --help` fast
import time
from typing import TYPE_CHECKING, Any

import click

from tidemill_cli.failures import NO, YES, MalformedError, RefusedError
from tidemill_cli.output import coloured, local_time, put_json, put_table, say, size, span, table
from tidemill_cli.session import MODEL, Session, hint, parts, reasoned, shared_options

if TYPE_CHECKING:
    from tidemill_cli.stack import Stack
    from tidemill_cli.standing import Judgement
    from tidemill_cli.watching import Watched

DEFAULT_TIMEOUT = "30m"


class Duration(click.ParamType[int]):
    """A duration as in model.yaml: `90s`, `30m`, `1h30m`; seconds inside."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the seconds."""
        from tidemill.spec.durations import parse_duration

        seconds = value if isinstance(value, int) else parse_duration(str(value))
        if seconds is None:
            self.fail(f"'{value}' is no duration; write 90s, 30m or 1h30m", param, ctx)
        return seconds


@click.command()
@click.argument("model", type=MODEL)
@click.option("--why", required=True, help="The reason; people read it in the ledger.")
@shared_options
@click.pass_obj
def start(session: Session, model: str, why: str) -> None:
    """
    Ask for a run of MODEL on the uploads that it has.

    When a run goes on already, this one starts after it.
    """
    from uuid import uuid4

    request = {**parts(model), "why": reasoned(why), "id": uuid4().hex}  # boto3 may try twice
    answer = session.stack.invoke("RequestRunFunctionName", request)
    if session.as_json:
        put_json({"model": model, "trigger": answer["trigger"]})
    else:
        click.echo(f"asked for a run of {model} ({answer['trigger']})")
    hint(session, f"`tidemill follow {model}` shows what comes of it")


@click.command()
@click.argument("model", type=MODEL)
@click.argument("delivery", required=False)
@click.option("--why", required=True, help="The reason; people read it in the ledger.")
@shared_options
@click.pass_obj
def recheck(session: Session, model: str, delivery: str | None, why: str) -> None:
    """
    Check a DELIVERY again whose check failed.

    Without DELIVERY: every delivery of MODEL that waits for it.
    """
    from uuid import uuid4

    from tidemill_cli.standing import Standing

    reason, stack = reasoned(why), session.stack
    wanted = [delivery] if delivery else []
    if not wanted:
        stuck = Standing(stack, known_model(stack, model)).stuck()
        wanted = [item.subject for item in stuck]
    if not wanted:
        raise RefusedError(f"no delivery of {model} waits for another check")
    begun = []
    for each in wanted:
        request = {**parts(model), "delivery": each, "why": reason, "id": uuid4().hex}
        answer = stack.invoke("RequestCheckFunctionName", request)
        begun.append({"model": model, "delivery": each, "attempt": answer["attempt"]})
        if not session.as_json:
            click.echo(f"checking {each} again (attempt {answer['attempt']})")
    if session.as_json:
        put_json(begun)
    hint(session, f"`tidemill follow {model}` shows what comes of it")


@click.command()
@click.argument("target", metavar="[MODEL|RUN]", required=False)
@click.option("--last", type=click.IntRange(min=1), default=20, show_default=True)
@shared_options
@click.pass_obj
def runs(session: Session, target: str | None, last: int) -> None:
    """
    List the newest runs; or show one, step by step.

    Without an argument these are the runs of all models, with MODEL its own.
    """
    if target and is_run(target):
        _show(session, target)
        return
    stack = session.stack
    refs = (
        [known_model(stack, MODEL.convert(target, None, None))]
        if target
        else stack.stores.specs.refs()
    )
    rows = [row(ref, run) for ref in refs for run in stack.stores.runs.of(ref)]
    rows = sorted(rows, key=lambda item: str(item["started"]), reverse=True)[:last]
    if session.as_json:
        put_json(rows)
        return
    now = time.time()
    put_table(
        [{**item, **_human(item, now)} for item in rows],
        {
            "run": "run",
            **({} if target else {"model": "model"}),
            "status": "status",
            "trigger": "trigger",
            "began": "started",
            "took": "took",
            "version": "version",
            "reason": "reason",
        },
        empty="no run yet; an upload starts one when its delivery closes, as does `tidemill start`",
    )


def row(ref: str, run: dict[str, Any]) -> dict[str, Any]:
    """Return a run's record as scripts get it; times are ISO 8601."""
    from tidemill.times import iso

    started, finished = run["started_at"], run.get("finished_at")
    return {
        "run": run["run"],
        "model": ref,
        "status": run["status"],
        "trigger": run["trigger"],
        "why": run["why"],
        "started": iso(started),
        "finished": iso(finished) if finished else None,
        "seconds": round(finished - started, 3) if finished else None,
        "version": run.get("version"),
        "reason": run.get("reason"),
    }


def is_run(target: str) -> bool:
    """Say whether a person who typed *target* means a run; models have a slash."""
    return target.startswith("run-") and "/" not in target


def known_model(stack: "Stack", ref: str) -> str:
    """
    Return *ref*, a model that has a spec.

    Raises:
        NotFoundError: It has none.
    """
    stack.stores.specs.get(ref)
    return ref


def find_run(stack: "Stack", run: str) -> tuple[str, dict[str, Any]]:
    """
    Return whose run it is, and its record.

    Raises:
        MalformedError: No model has such a run.
    """
    from tidemill.adapters.state import RUN

    for ref in stack.stores.specs.refs():
        record = stack.stores.state.get(ref, RUN + run)
        if record is not None:
            return ref, record
    raise MalformedError(f"there is no run {run}; `tidemill runs` lists the newest")


def _human(item: dict[str, Any], now: float) -> dict[str, str]:
    from tidemill.times import seconds

    began = seconds(item["started"])
    ended = seconds(item["finished"]) if item["finished"] else now
    return {"began": local_time(began, now), "took": span(ended - began)}


def _show(session: Session, run: str) -> None:
    """Print one run: what it read, how its steps went, what came out."""
    document = _detail(session.stack, *find_run(session.stack, run))
    if session.as_json:
        put_json(document)
        return
    _put_summary(document)
    _put_steps(document["steps"])
    _put_inputs(document["inputs"])
    for excerpt in document["logs"]:
        click.echo(f"\nlast lines of {excerpt['step']} ({excerpt['group']}, {excerpt['job']})")
        for line in excerpt["lines"]:
            click.echo(f"  {line}")


def _detail(stack: "Stack", ref: str, run: dict[str, Any]) -> dict[str, Any]:
    from tidemill_cli import timeline

    steps = timeline.steps_of(stack, run)
    return {
        **row(ref, run),
        "triggers": run.get("triggers", []),
        "dataset": run.get("dataset"),
        "spec": run.get("spec"),
        "files": run.get("files"),
        "bytes": run.get("bytes"),
        "metric": run.get("metric") or timeline.evaluation_of(stack, steps),
        "execution": run.get("execution"),
        "pipeline": run.get("pipeline"),
        "steps": [_iso_times(step) for step in timeline.as_rows(steps)],
        "inputs": timeline.inputs_of(stack, ref, run),
        "logs": timeline.excerpts(stack, steps),
    }


def _iso_times(step: dict[str, Any]) -> dict[str, Any]:
    from tidemill.times import iso

    times = {
        key: iso(step[key]) if step[key] is not None else None for key in ("started", "finished")
    }
    return {**step, **times}


def _put_summary(document: dict[str, Any]) -> None:
    now = time.time()
    times = _human(document, now)
    facts = {
        "run": f"{document['run']} of {document['model']}",
        "status": coloured(document["status"]),
        "reason": document["reason"],
        "trigger": f"{document['trigger']}: {document['why']}",
        "started": f"{times['began']}, {times['took']}",
        "dataset": _dataset(document),
        "metric": _metric(document["metric"]),
        "version": document["version"],
    }
    for name, value in facts.items():
        if value is not None:
            click.echo(f"{name:<8} {value}")


def _dataset(document: dict[str, Any]) -> str | None:
    if not document["dataset"]:
        return None
    files = document["files"]
    plural = "s" if files != 1 else ""
    return f"{document['dataset']}, {files} file{plural}, {size(document['bytes'])}"


def _metric(metric: dict[str, Any] | None) -> str | None:
    if not metric:
        return None
    return (
        f"{metric['name']} {metric['value']:.6g} "
        f"(trivial {metric['trivial']:.6g}, minimum {metric['minimum']:.6g})"
    )


def _put_steps(steps: list[dict[str, Any]]) -> None:
    from tidemill.times import seconds

    if not steps:
        return
    now = time.time()
    rows = [
        {
            **step,
            "began": local_time(seconds(step["started"]) if step["started"] else None, now),
            "took": span(step["seconds"]),
        }
        for step in steps
    ]
    click.echo()
    columns = {
        "step": "step",
        "status": "status",
        "began": "started",
        "took": "took",
        "reason": "reason",
    }
    for line in table(rows, columns):
        click.echo(line)


def _put_inputs(inputs: list[dict[str, Any]]) -> None:
    if not inputs:
        return
    rows = [
        {**item, "name": item["uri"].rpartition("/")[2], "size": size(item["size"])}
        for item in inputs
    ]
    click.echo()
    columns = {
        "name": "input",
        "size": "size",
        "rows": "rows",
        "verdict": "verdict",
        "reason": "reason",
    }
    for line in table(rows, columns):
        click.echo(line)


@click.command()
@click.argument("target", metavar="[MODEL|RUN]", required=False)
@click.option("--timeout", type=Duration(), help="Give up after so long (default: never).")
@shared_options
@click.pass_obj
def follow(session: Session, target: str | None, timeout: int | None) -> int:
    """
    Show what goes on with MODEL or RUN until it ends.

    That includes the rollout; without an argument it is the newest run that is going.

    Exit status: 0 it went well, 1 it did not.
    """
    from tidemill_cli import watching

    watched = _watched(session.stack, target)
    screen = watching.Screen(quiet=session.as_json)
    verdict = watching.watch(watched, screen, timeout=timeout)
    return _conclude(session, watched, verdict)


@click.command()
@click.argument("model", type=MODEL)
@click.option("--timeout", type=Duration(), default=DEFAULT_TIMEOUT, show_default=True)
@shared_options
@click.pass_obj
def wait(session: Session, model: str, timeout: int) -> int:
    """
    Wait until nothing of MODEL is open.

    That is: no upload without a verdict, no delivery, trigger, run or rollout.

    Exit status: 0 what came last, a run or a rollback, is in service; 1 otherwise.
    """
    from tidemill_cli import watching

    watched = watching.WatchedModel(session.stack, known_model(session.stack, model))
    verdict = watching.watch(watched, watching.Screen(quiet=True), timeout=timeout)
    return _conclude(session, watched, verdict)


def _watched(stack: "Stack", target: str | None) -> Any:
    from tidemill.adapters.runs import GOING
    from tidemill_cli import watching

    if target is None:
        going = [
            (run["started_at"], ref, run)
            for ref in stack.stores.specs.refs()
            for run in stack.stores.runs.of(ref)
            if run["status"] in GOING
        ]
        if not going:
            raise MalformedError("no run is going; name a model or a run: `tidemill follow MODEL`")
        _, ref, run = max(going, key=lambda item: (item[0], item[1]))
        return watching.WatchedRun(stack, ref, run["run"])
    if is_run(target):
        ref, run = find_run(stack, target)
        return watching.WatchedRun(stack, ref, run["run"])
    return watching.WatchedModel(stack, known_model(stack, MODEL.convert(target, None, None)))


def _conclude(session: Session, watched: "Watched", verdict: "Judgement") -> int:
    asides = [said for said in watched.asides() if said not in verdict.said]
    if session.as_json:
        put_json(
            {"model": watched.ref, "ok": verdict.good, "reason": verdict.said, "asides": asides}
        )
        return YES if verdict.good else NO
    if verdict.good:
        click.echo(verdict.said)
    else:
        say(f"tidemill: {verdict.said}")
    for said in asides:
        say(said)
    return YES if verdict.good else NO
