"""Results that are taken again: step caching, selective execution, retried executions."""

import uuid

import pytest

from .conftest import ACCOUNT
from .fake_aws import FUNCTIONS
from .model_servers import refused
from .pipeline_calls import PIPELINE_EVENT, STEP_EVENT, Pipelines

ALWAYS = {"Type": "Equals", "LeftValue": 1, "RightValue": 1}
CACHED = {"Enabled": True, "ExpireAfter": "P1D"}


@pytest.fixture
def pipelines(shared_cloud):
    return Pipelines(shared_cloud, "no-bucket-needed")


class Function:
    """A Lambda function that counts, and fails when it is told to."""

    def __init__(self, pipelines):
        self.pipelines = pipelines
        self.events = []
        self.broken = False
        name = f"reuse-{uuid.uuid4().hex[:8]}"
        self.arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}"
        FUNCTIONS[name] = self

    def __call__(self, event):
        self.events.append(event)
        if self.broken:
            raise RuntimeError("out of order")
        return {"n": len(self.events)}

    def step(self, name, arguments=None, **fields):
        return self.pipelines.function(name, self.arn, {"n": "Integer"}, arguments, **fields)


@pytest.fixture
def function(pipelines):
    return Function(pipelines)


def n_of(step):
    return {"Get": f"Steps.{step}.OutputParameters['n']"}


def test_result_of_an_earlier_execution_is_taken_while_it_is_young(pipelines, function):
    count = function.step("Count", {"run": {"Get": "Parameters.RunId"}}, CacheConfig=CACHED)
    after = function.step("After", {"n": n_of("Count")})
    name = pipelines.create(count, after)
    first = pipelines.start(name)
    pipelines.ended(first)

    second = pipelines.start(name)

    assert pipelines.ended(second)["PipelineExecutionStatus"] == "Succeeded"
    assert function.events == [{"run": "r1"}, {"n": 1}, {"n": 1}]
    before, now = pipelines.steps(first), pipelines.steps(second)
    assert "CacheHitResult" not in before["Count"]
    assert now["Count"]["CacheHitResult"] == {"SourcePipelineExecutionArn": first}
    assert now["Count"]["Metadata"] == before["Count"]["Metadata"]
    assert now["Count"]["StepStatus"] == "Succeeded"
    told = [e for e in pipelines.events(STEP_EVENT, second) if e["stepName"] == "Count"]
    assert [e["currentStepStatus"] for e in told] == ["Starting", "Succeeded"]
    assert told[-1]["cacheHitResult"] == {"sourcePipelineExecutionArn": first}
    # A hit is no run of its own: the third execution names the first, too.
    third = pipelines.start(name)
    pipelines.ended(third)
    hit = pipelines.steps(third)["Count"]["CacheHitResult"]
    assert hit == {"SourcePipelineExecutionArn": first}
    # Other arguments, another result.
    fourth = pipelines.start(name, {"RunId": "r2"})
    pipelines.ended(fourth)
    assert "CacheHitResult" not in pipelines.steps(fourth)["Count"]


@pytest.mark.parametrize(
    "cache",
    [None, {"Enabled": False, "ExpireAfter": "P1D"}, {"Enabled": True, "ExpireAfter": "PT0M"}],
)
def test_result_is_not_taken_unless_the_definition_says_so(pipelines, function, cache):
    count = function.step("Count", **({"CacheConfig": cache} if cache else {}))
    name = pipelines.create(count)
    for _ in range(2):
        arn = pipelines.start(name)
        pipelines.ended(arn)

    assert len(function.events) == 2
    assert "CacheHitResult" not in pipelines.steps(arn)["Count"]


def test_only_success_of_the_same_pipeline_and_step_is_taken(pipelines, function):
    function.broken = True
    name = pipelines.create(function.step("Count", CacheConfig=CACHED))
    pipelines.ended(pipelines.start(name))
    function.broken = False
    pipelines.ended(pipelines.start(name))
    other = pipelines.create(function.step("Count", CacheConfig=CACHED))
    pipelines.ended(pipelines.start(other))
    renamed = pipelines.definition(function.step("Another", CacheConfig=CACHED))
    pipelines.sagemaker.update_pipeline(PipelineName=name, PipelineDefinition=renamed)

    pipelines.ended(pipelines.start(name))

    assert len(function.events) == 4


def test_job_is_taken_again_when_what_decides_is_the_same(make_cloud, bucket):
    cloud = make_cloud()
    pipelines = Pipelines(cloud, bucket)
    # Where the model goes and what the run is called decide nothing, as on SageMaker.
    train = pipelines.training(
        hyper={"auc": "0.9"}, CacheConfig={"Enabled": True, "ExpireAfter": "30d"}
    )
    name = pipelines.create(train, pipelines.evaluation())
    first = pipelines.start(name, {"RunId": "r1"})
    assert pipelines.ended(first)["PipelineExecutionStatus"] == "Succeeded", pipelines.steps(first)

    second = pipelines.start(name, {"RunId": "r2"})

    assert pipelines.ended(second)["PipelineExecutionStatus"] == "Succeeded"
    before, now = pipelines.steps(first), pipelines.steps(second)
    assert now["Train"]["CacheHitResult"] == {"SourcePipelineExecutionArn": first}
    assert now["Train"]["Metadata"] == before["Train"]["Metadata"]
    assert now["Evaluate"]["Metadata"] != before["Evaluate"]["Metadata"]
    jobs = pipelines.sagemaker.list_training_jobs()["TrainingJobSummaries"]
    assert len(jobs) == 1


def test_selected_steps_run_on_the_results_of_another_execution(pipelines, function):
    a = function.step("A")
    b = function.step("B", {"n": n_of("A")})
    c = function.step("C", {"n": n_of("B")})
    name = pipelines.create(a, b, c, function.step("Aside"))
    source = pipelines.start(name, {"RunId": "r1"})
    pipelines.ended(source)
    done = pipelines.steps(source)
    function.events.clear()

    config = {"SourcePipelineExecutionArn": source, "SelectedSteps": [{"StepName": "C"}]}
    arn = pipelines.start(name, SelectiveExecutionConfig=config)
    described = pipelines.ended(arn)

    assert described["PipelineExecutionStatus"] == "Succeeded"
    assert described["SelectiveExecutionConfig"] == config
    value = done["B"]["Metadata"]["Lambda"]["OutputParameters"][0]["Value"]
    assert function.events == [{"n": int(value)}]
    steps = pipelines.steps(arn)
    assert set(steps) == {"B", "C"}
    assert steps["B"]["SelectiveExecutionResult"] == {"SourcePipelineExecutionArn": source}
    assert steps["B"]["Metadata"] == done["B"]["Metadata"]
    assert "SelectiveExecutionResult" not in steps["C"]
    alone = pipelines.start(
        name, SelectiveExecutionConfig={"SelectedSteps": [{"StepName": "A"}, {"StepName": "B"}]}
    )
    assert pipelines.ended(alone)["PipelineExecutionStatus"] == "Succeeded"
    assert set(pipelines.steps(alone)) == {"A", "B"}


def test_selection_that_cannot_run_is_refused(pipelines, function):
    function.broken = True
    a = function.step("A")
    b = function.step("B", {"n": n_of("A")})
    c = function.step("C", {"n": n_of("B")})
    name = pipelines.create(a, b, c)
    failed = pipelines.start(name)
    pipelines.ended(failed)
    other = pipelines.start(pipelines.create(function.step("A")))
    pipelines.ended(other)

    def select(*steps, source=None):
        config = {"SelectedSteps": [{"StepName": step} for step in steps]}
        return config | ({"SourcePipelineExecutionArn": source} if source else {})

    for config, says in (
        (select("Nope"), "do not exist in the pipeline: Nope"),
        (select("A", "C", source=failed), "must be selected; missing: B"),
        (select("B"), "The selected steps [B] have dependencies on [A]"),
        (select("B", source=failed), "Step [A] has not succeeded"),
        (select("B", source=other), "must be of the same pipeline"),
    ):
        refused(
            pipelines.sagemaker.start_pipeline_execution,
            says,
            PipelineName=name,
            SelectiveExecutionConfig=config,
        )
    refused(
        pipelines.sagemaker.start_pipeline_execution,
        "does not exist",
        code="ResourceNotFound",
        PipelineName=name,
        SelectiveExecutionConfig=select("B", source=failed[:-1]),
    )


def test_condition_that_was_decided_then_rules_the_selected_steps(pipelines, function):
    gate = pipelines.condition("Gate", ALWAYS, yes=[function.step("Yes")], no=[function.step("No")])
    name = pipelines.create(gate)
    source = pipelines.start(name)
    pipelines.ended(source)
    config = {
        "SourcePipelineExecutionArn": source,
        "SelectedSteps": [{"StepName": "Yes"}, {"StepName": "No"}],
    }

    arn = pipelines.start(name, SelectiveExecutionConfig=config)

    assert pipelines.ended(arn)["PipelineExecutionStatus"] == "Succeeded"
    assert pipelines.statuses(arn) == {"Gate": "Succeeded", "Yes": "Succeeded"}
    assert len(function.events) == 2


def test_retried_execution_goes_on_from_what_failed(pipelines, function):
    good, bad = function, Function(pipelines)
    bad.broken = True
    name = pipelines.create(
        good.step("Good", {"at": {"Get": "Execution.StartDateTime"}}),
        bad.step("Bad", {"n": n_of("Good")}),
        good.step("Last", {"n": n_of("Bad")}),
    )
    arn = pipelines.start(name)
    assert pipelines.ended(arn)["PipelineExecutionStatus"] == "Failed"
    before = pipelines.steps(arn)
    bad.broken = False

    token = "t" * 32
    for _ in range(2):
        answer = pipelines.sagemaker.retry_pipeline_execution(
            PipelineExecutionArn=arn,
            ClientRequestToken=token,
            ParallelismConfiguration={"MaxParallelExecutionSteps": 3},
        )
        assert answer["PipelineExecutionArn"] == arn
    described = pipelines.ended(arn)

    assert described["PipelineExecutionStatus"] == "Succeeded"
    assert "FailureReason" not in described
    assert described["ParallelismConfiguration"] == {"MaxParallelExecutionSteps": 3}
    assert len(good.events) == 2
    assert bad.events == [{"n": 1}, {"n": 1}]
    steps = pipelines.steps(arn)
    assert steps["Good"] == before["Good"]
    assert {step["StepStatus"] for step in steps.values()} == {"Succeeded"}
    assert "FailureReason" not in steps["Bad"]
    changes = [
        (e.get("previousPipelineExecutionStatus"), e["currentPipelineExecutionStatus"])
        for e in pipelines.events(PIPELINE_EVENT, arn)
    ]
    assert changes == [
        (None, "Executing"),
        ("Executing", "Failed"),
        ("Failed", "Executing"),
        ("Executing", "Succeeded"),
    ]
    refused(
        pipelines.sagemaker.retry_pipeline_execution,
        "has status Succeeded",
        code="ConflictException",
        PipelineExecutionArn=arn,
    )
    refused(
        pipelines.sagemaker.retry_pipeline_execution,
        "does not exist",
        code="ResourceNotFound",
        PipelineExecutionArn=arn[:-1],
    )


def test_execution_is_renamed_and_its_parallelism_changed(pipelines, function):
    arn = pipelines.start(pipelines.create(function.step("A")))
    pipelines.sagemaker.update_pipeline_execution(
        PipelineExecutionArn=arn,
        PipelineExecutionDisplayName="renamed",
        PipelineExecutionDescription="why",
        ParallelismConfiguration={"MaxParallelExecutionSteps": 2},
    )

    described = pipelines.ended(arn)
    assert described["PipelineExecutionDisplayName"] == "renamed"
    assert described["PipelineExecutionDescription"] == "why"
    assert described["ParallelismConfiguration"] == {"MaxParallelExecutionSteps": 2}
    refused(
        pipelines.sagemaker.update_pipeline_execution,
        "does not exist",
        code="ResourceNotFound",
        PipelineExecutionArn=arn[:-1],
    )
