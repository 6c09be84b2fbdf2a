"""
The workflow definitions keep the house rules.

SAM's linters do not open `DefinitionUri`, so each file is inlined into a plain CloudFormation
template, which cfn-lint does check (rule E3601); what E3601 leaves out is checked here.
"""

import json
import re

import pytest

from .asl_model import MACHINES, blocks, catches_all, load, reached, states, targets, unset
from .template_model import lint, of_type

TRANSIENT = {
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
}
SUBSTITUTION = re.compile(r"\$\{([^}]*)\}")
PLACEHOLDER = "arn:aws:lambda:us-east-1:123456789012:function:placeholder"
AIDS = {"ExplainUploads"}
EACH = pytest.mark.parametrize("path", MACHINES, ids=lambda path: path.name)


def definition_uris(template):
    return {
        machine["Properties"].get("DefinitionUri"): machine["Properties"]
        for machine in of_type(template, "AWS::Serverless::StateMachine").values()
    }


def test_the_template_runs_every_workflow_and_no_other(template):
    assert MACHINES, "statemachines/ holds no *.asl.json"
    files = {f"statemachines/{path.name}" for path in MACHINES}
    assert files == definition_uris(template).keys()


@EACH
def test_cfn_lint_accepts_it(path):
    text = path.read_text().replace("${Partition}", "aws")
    definition = json.loads(SUBSTITUTION.sub(PLACEHOLDER, text))
    machine = {"Definition": definition, "RoleArn": "arn:aws:iam::123456789012:role/r"}
    template = {
        "Resources": {"M": {"Type": "AWS::StepFunctions::StateMachine", "Properties": machine}}
    }
    assert lint(template) == []


@EACH
def test_every_substitution_is_given_and_every_given_one_is_used(path, template):
    machine = definition_uris(template).get(f"statemachines/{path.name}", {})
    used = set(SUBSTITUTION.findall(path.read_text()))
    assert used == machine.get("DefinitionSubstitutions", {}).keys()


@EACH
def test_it_is_jsonata_from_the_top(path):
    machine = load(path)
    assert machine["QueryLanguage"] == "JSONata"
    assert [name for name, state in states(machine) if "QueryLanguage" in state] == []


@EACH
def test_everything_that_waits_has_a_deadline(path):
    machine = load(path)
    assert machine["TimeoutSeconds"] > 0
    tasks = {name: state for name, state in states(machine) if state["Type"] == "Task"}
    assert [name for name, state in tasks.items() if "TimeoutSeconds" not in state] == []


@EACH
def test_every_arrow_lands_and_every_state_is_reached(path):
    for block in blocks(load(path)):
        landed = {block.start}.union(*(targets(state) for state in block.states.values()))
        assert landed - block.states.keys() == set(), "arrows to states that are not there"
        assert block.states.keys() - reached(block.states, [block.start]) == set(), "never entered"


@EACH
def test_every_choice_has_a_default(path):
    choices = {name: state for name, state in states(load(path)) if state["Type"] == "Choice"}
    assert [name for name, state in choices.items() if "Default" not in state] == []


@EACH
def test_every_failure_says_what_and_why(path):
    fails = {name: state for name, state in states(load(path)) if state["Type"] == "Fail"}
    assert [name for name, state in fails.items() if not {"Error", "Cause"} <= state.keys()] == []


@EACH
def test_every_lambda_task_retries_what_lambda_calls_transient(path):
    missing = {
        name: TRANSIENT
        - {error for rule in state.get("Retry", []) for error in rule["ErrorEquals"]}
        for name, state in states(load(path))
        if ":lambda:invoke" in state.get("Resource", "")
    }
    assert {name: errors for name, errors in missing.items() if errors} == {}


@EACH
def test_states_all_stands_alone_and_last(path):
    for name, state in states(load(path)):
        for rules in (state.get("Retry", []), state.get("Catch", [])):
            for place, rule in enumerate(rules, 1):
                if "States.ALL" in rule["ErrorEquals"]:
                    assert rule["ErrorEquals"] == ["States.ALL"], name
                    assert place == len(rules), f"{name}: rules after States.ALL never match"


@EACH
def test_every_failure_takes_one_recorded_path(path):
    """
    All that is caught passes through the one task that records it, and then fails.

    Only what the record says was refused, which is an answer, may end well. What comes when all
    is recorded is an aid: it ends well whatever happens.
    """
    block, *inner = blocks(load(path))
    risky = {n: s for n, s in block.states.items() if s["Type"] in {"Task", "Map", "Parallel"}}
    recorders = [name for name, state in risky.items() if not catches_all(state)]
    assert len(recorders) == 1, f"exactly one state records a failure and catches none: {recorders}"

    after = reached(block.states, targets(block.states[recorders[0]]))
    choices = {name for name in after if block.states[name]["Type"] == "Choice"}
    refused = {
        choice["Next"]
        for name in choices
        for choice in block.states[name]["Choices"]
        if choice["Condition"].endswith(".status = 'refused' %}")
    }
    assert {block.states[name]["Type"] for name in refused} <= {"Succeed"}, refused
    assert {block.states[name]["Type"] for name in after - choices - refused} == {"Fail"}, after

    around = {name: state for name, state in block.states.items() if name not in recorders}
    caught = [
        rule["Next"]
        for name, state in risky.items()
        for rule in state.get("Catch", [])
        if "States.ALL" in rule["ErrorEquals"] and name not in AIDS
    ]
    unrecorded = {
        name
        for name in reached(around, caught)
        if around[name]["Type"] in {"Succeed", "Fail"} or around[name].get("End")
    }
    assert unrecorded == set(), f"ends that a caught error reaches without {recorders[0]}"
    assert all(any(map(catches_all, level.within)) for level in inner)


@EACH
def test_an_aid_fails_nothing(path):
    """Whatever happens in an aid, each of its items ends, and the machine succeeds."""
    machine = load(path)
    for name in AIDS & machine["States"].keys():
        aid = machine["States"][name]
        assert {machine["States"][way]["Type"] for way in targets(aid)} == {"Succeed"}
        assert catches_all(aid)
        inner = aid["ItemProcessor"]["States"].values()
        assert all(catches_all(state) for state in inner if state["Type"] == "Task")
        assert "Fail" not in {state["Type"] for state in inner}


@EACH
def test_no_variable_is_read_before_it_is_set(path):
    assert unset(load(path)) == {}
