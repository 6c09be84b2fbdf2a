"""Every state of `check` is entered, and every Catch of it taken, on the real engine."""

import json

import pytest

from deployed import table
from local_cloud import wait_until
from tidemill.domain.admission import name_of

pytestmark = pytest.mark.e2e


def execution(stack, delivery, attempt=1):
    machine = stack.outputs["CheckArn"].replace(":stateMachine:", ":execution:")
    return f"{machine}:{delivery}" + (f"-r{attempt}" if attempt > 1 else "")


STATES = ["PlanCheck", "ReadUploads", "ConcludeCheck", "ExplainUploads", "Checked"]


def check_jobs(stack, model):
    """Return the processing jobs that checked uploads of a model."""
    jobs = stack.cloud.client("sagemaker").list_processing_jobs(NameContains=f"--{model}--check")
    return jobs["ProcessingJobSummaries"]


def report(stack, upload, ending):
    """Return what lies beside the data about a quarantined upload; None before it does."""
    facts = upload["facts"]
    name = name_of(facts["bucket"], facts["key"], facts["version_id"])
    s3 = stack.cloud.client("s3")
    prefix = f"quarantine/{facts['key'].removeprefix('raw/').rpartition('/')[0]}/{name}.{ending}"
    if "Contents" not in s3.list_objects_v2(Bucket=stack.lake, Prefix=prefix):
        return None
    return s3.get_object(Bucket=stack.lake, Key=prefix)["Body"].read().decode()


def explained(stack, ref, upload):
    """Wait for an upload's page; return its bad rows by line and column, and the page."""
    page = wait_until(lambda: report(stack, upload, "html"), 60, lambda: stack.story(ref))

    def complete():
        bad = json.loads(report(stack, upload, "json"))["bad"]
        return bad if bad["complete"] else None  # the document is written after the page

    bad = wait_until(complete, 60, lambda: stack.story(ref))
    return {(one["row"], one["column"]) for one in bad["rows"]}, page


def closed(stack, ref):
    """Wait for the model's first delivery to be closed, and return its id."""
    return stack.entry(ref, "delivery", verdict="close")["subject"]


def test_a_good_delivery_is_checked_and_triggers_a_run(stack):
    ref = stack.apply("checked", approve="manual")
    stack.put(ref, "a.csv", table())

    entry = stack.entry(ref, "delivery", verdict="check")

    assert (entry["facts"]["accepted"], entry["facts"]["rows"]) == (1, 400)
    assert stack.states(execution(stack, entry["subject"])) == STATES
    assert check_jobs(stack, "checked") == [], "a Lambda was enough"
    assert stack.entry(ref, "contract")["verdict"] == "freeze"
    assert stack.entry(ref, "trigger", verdict="start")["facts"]["trigger"] == entry["subject"]


def test_what_breaks_the_contract_of_the_first_delivery_is_left_out(stack):
    ref = stack.apply("breaks", approve="manual")
    stack.put(ref, "a.csv", table())
    stack.entry(ref, "delivery", verdict="check")
    rows = table(50, seed=2, first=1000).splitlines()
    stack.put(ref, "bad.csv", "\n".join([*rows, "r9,far,1,red,1"]) + "\n")
    many = table(6000, seed=3, first=2000).splitlines()
    many[5000] += ",surplus"  # beyond what admission reads
    stack.put(ref, "unreadable.csv", "\n".join(many) + "\n")

    bad = stack.entry(ref, "upload", subject=f"raw/{ref}/bad.csv", verdict="quarantine")
    assert (bad["facts"]["rule"], bad["facts"]["row"]) == ("wrong_type", 52)
    assert "'far'" in bad["reason"]
    told = stack.entry(ref, "upload", subject=f"raw/{ref}/unreadable.csv", verdict="quarantine")
    assert told["facts"]["row"] == 5001


def test_the_bad_rows_of_what_is_left_out_are_named(stack):
    ref = stack.apply("named", approve="manual")
    stack.put(ref, "a.csv", table())
    many = table(6000, seed=2, first=1000).splitlines()
    stack.put(ref, "text.csv", "\n".join([*many[:5000], "r9,far,1,red,1", *many[5000:]]) + "\n")
    many = table(6000, seed=3, first=9000).splitlines()
    many[5000] += ",surplus"
    stack.put(ref, "ragged.csv", "\n".join(many) + "\n")

    for name, column in (("text.csv", "x"), ("ragged.csv", None)):
        said = stack.entry(ref, "upload", subject=f"raw/{ref}/{name}", verdict="quarantine")
        rows, page = explained(stack, ref, said)
        assert (5001, column) in rows
        assert "line 5,001" in page


def test_what_cannot_be_explained_fails_no_check(stack):
    ref = stack.apply("unexplained", approve="manual")
    many = table(6000).splitlines()
    many[5000] += ",surplus"
    with stack.broken("ExplainUploadFunction"):
        stack.put(ref, "unreadable.csv", "\n".join(many) + "\n")
        entry = stack.entry(ref, "delivery", verdict="check")
        assert stack.states(execution(stack, entry["subject"])) == STATES

    told = stack.entry(ref, "upload", verdict="quarantine")
    known = json.loads(report(stack, told, "json"))["bad"]
    assert ([one["row"] for one in known["rows"]], known["complete"]) == ([5001], False)
    assert report(stack, told, "html") is None


def test_a_part_whose_lambda_runs_out_goes_on_as_a_job(stack):
    ref = stack.apply("runs-out", approve="manual")
    with stack.configured("CheckUploadsFunction", Timeout=10):  # too little to begin
        stack.put(ref, "a.csv", table())
        entry = stack.entry(ref, "delivery", verdict="check")

    assert entry["facts"]["rows"] == 400
    assert stack.states(execution(stack, entry["subject"])) == STATES
    (job,) = check_jobs(stack, "runs-out")
    assert job["ProcessingJobStatus"] == "Completed"


@pytest.mark.parametrize(
    ("state", "function"),
    [
        ("PlanCheck", "PlanCheckFunction"),
        ("ReadUploads", "CheckUploadsFunction"),
        ("ConcludeCheck", "ConcludeCheckFunction"),
    ],
)
def test_a_check_that_fails_takes_the_recorded_path(stack, state, function):
    ref = stack.apply(f"check-{state.lower()}", approve="manual")
    with stack.broken(function):
        stack.put(ref, "a.csv", table())
        entry = stack.entry(ref, "delivery", verdict="check failed")

    assert entry["reason"].startswith(f"{state}: ")
    assert stack.states(execution(stack, entry["subject"]))[-2:] == [
        "CloseFailedCheck", "CheckFailed",
    ]  # fmt: skip
    assert stack.stores.checks.unfinished() != [], "the sweep tries again"


def test_a_check_that_cannot_even_say_that_it_failed_is_settled_by_its_event(stack):
    ref = stack.apply("check-silent", approve="manual")
    with stack.broken("PlanCheckFunction"), stack.broken("CloseCheckFunction"):
        stack.put(ref, "a.csv", table())
        delivery = closed(stack, ref)
        wait_until(
            lambda: stack.stores.checks.find(ref, delivery)["stands"] == "check_failed",
            60,
            lambda: stack.story(ref),
        )


def test_a_file_that_breaks_the_contract_is_accepted_as_the_contract_and_read(stack):
    ref = stack.apply("accepts", approve="manual")
    project, model = ref.split("/")
    stack.put(ref, "a.csv", table())
    stack.entry(ref, "delivery", verdict="check")
    stack.ended_run(ref)
    header, *lines = table(100, seed=2, first=1000).splitlines()
    far = [line if n % 2 else _with_far(line) for n, line in enumerate(lines)]
    stack.put(ref, "b.csv", "\n".join([header, *far]) + "\n")
    set_aside = stack.entry(ref, "upload", subject=f"raw/{ref}/b.csv", verdict="quarantine")
    assert set_aside["facts"]["rule"] == "wrong_type"
    stack.entry(ref, "delivery", verdict="check", count=2)

    answer = stack.invoke(
        "AcceptContractFunctionName",
        {
            "project": project,
            "model": model,
            "key": f"raw/{ref}/b.csv",
            "why": "far is a distance now",
            "by": "ada",
        },
    )

    assert answer["released"] == [f"raw/{ref}/b.csv"]
    run = stack.ended_run(ref, 2)
    assert (run["trigger"], run["files"], run["dataset_rows"]) == ("data", 2, 500)
    assert run["why"].startswith("ada released b.csv")


def _with_far(line):
    cells = line.split(",")
    return ",".join([cells[0], "far", *cells[2:]])
