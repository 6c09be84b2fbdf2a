"""
Read template.yaml the way its tests need it: intrinsics resolved, statements found, SAM expanded.

Nothing here judges; the functions return what is there, and the tests beside say what must be.
"""

import copy
import functools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import yaml
from samtranslator.yaml_helper import intrinsics_multi_constructor

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "template.yaml"
REGION = "us-east-1"
PSEUDO = {
    "AWS::AccountId": "000000000000",
    "AWS::NoValue": None,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::StackName": "tidemill",
    "AWS::URLSuffix": "amazonaws.com",
}
OPAQUE = "\N{REPLACEMENT CHARACTER}"
"""Stands for what only a deployment knows: a generated name, an ARN."""

_REFERENCE = re.compile(r"\$\{([^!}][^}]*)\}")
_NESTED_POLICIES = {
    "AWS::IAM::Policy": "PolicyDocument",
    "AWS::IAM::ManagedPolicy": "PolicyDocument",
    "AWS::S3::BucketPolicy": "PolicyDocument",
    "AWS::SQS::QueuePolicy": "PolicyDocument",
    "AWS::SNS::TopicPolicy": "PolicyDocument",
    "AWS::Events::EventBusPolicy": "Statement",
    "AWS::KMS::Key": "KeyPolicy",
}


def load(text: str) -> dict[str, Any]:
    """Return a template with its intrinsics as `{"Ref": …}` and `{"Fn::…": …}`."""
    document: dict[str, Any] = yaml.load(text, _Loader)  # a safe one
    for resource in document.get("Resources", {}).values():
        resource.setdefault("Properties", {})
    return document


class _Loader(yaml.CSafeLoader):
    """Reads CloudFormation's short forms as SAM does, ten times as fast as SAM's own loader."""


_Loader.add_multi_constructor("!", intrinsics_multi_constructor)


@functools.cache
def load_template() -> dict[str, Any]:
    """
    Return template.yaml, or an empty one: that it is there is a test of its own.

    All tests of a process get the same one: not to be changed.
    """
    return load(TEMPLATE.read_text()) if TEMPLATE.exists() else {"Resources": {}}


def of_type(template: dict[str, Any], *types: str) -> dict[str, dict[str, Any]]:
    """Return the resources of these types by logical id."""
    return {name: body for name, body in template["Resources"].items() if body["Type"] in types}


def property_of(template: dict[str, Any], name: str, key: str) -> Any:
    """Return a function's property, or what Globals says of it."""
    own = template["Resources"][name]["Properties"].get(key)
    return template.get("Globals", {}).get("Function", {}).get(key) if own is None else own


def as_list(value: Any) -> list[Any]:
    """Return a policy's or template's one-or-many as a list."""
    return value if isinstance(value, list) else [value]


# ── policies ─────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Statement:
    """One statement of a policy, and the logical id of what holds it."""

    owner: str
    body: dict[str, Any]

    @property
    def sid(self) -> str:
        return str(self.body.get("Sid", ""))

    @property
    def allows(self) -> bool:
        return self.body.get("Effect") == "Allow"

    @property
    def actions(self) -> list[str]:
        return as_list(self.body.get("Action", []))

    @property
    def resources(self) -> list[Any]:
        return as_list(self.body.get("Resource", []))


def statements(template: dict[str, Any]) -> Iterator[Statement]:
    """Yield every statement that the template writes out, wherever it may stand."""
    for name, resource in template["Resources"].items():
        properties = resource["Properties"]
        documents = [
            policy.get("PolicyDocument", policy)
            for policy in as_list(properties.get("Policies", []))
            if isinstance(policy, dict)
        ]
        documents.append(properties.get("AssumeRolePolicyDocument", {}))
        documents.append(properties.get(_NESTED_POLICIES.get(resource["Type"], ""), {}))
        for document in documents:
            for body in as_list(
                document.get("Statement", document if "Effect" in document else [])
            ):
                yield Statement(name, body)


def is_trust(statement: Statement) -> bool:
    """Whether the statement says who may assume a role, rather than what may be done."""
    return all(action.startswith("sts:AssumeRole") for action in statement.actions)


# ── intrinsics ───────────────────────────────────────────────────────────────


def references(node: Any) -> Iterator[str]:
    """Yield the names that *node* refers to: resources, parameters, pseudo parameters."""
    match node:
        case {"Ref": str(name)}:
            yield name
        case {"Fn::GetAtt": [str(name), *_]}:
            yield name
        case {"Fn::GetAtt": str(name)}:
            yield name.split(".")[0]
        case {"Fn::Sub": str(text)}:
            yield from (name.split(".")[0] for name in _REFERENCE.findall(text))
        case {"Fn::Sub": [str(text), dict(given)]}:
            names = (name.split(".")[0] for name in _REFERENCE.findall(text))
            yield from (name for name in names if name not in given)
            yield from references(given)
        case dict():
            for value in node.values():
                yield from references(value)
        case list():
            for value in node:
                yield from references(value)


def resolve(node: Any, template: dict[str, Any]) -> Any:
    """Return *node* with its intrinsics replaced by values; what is not known yet is OPAQUE."""
    match node:
        case {"Ref": str(name)}:
            found = _value(name, template)
        case {"Fn::Sub": str(text)}:
            found = _substituted(text, {}, template)
        case {"Fn::Sub": [str(text), dict(given)]}:
            found = _substituted(text, resolve(given, template), template)
        case {"Fn::Join": [str(separator), list(parts)]}:
            found = separator.join(str(resolve(part, template)) for part in parts)
        case {"Fn::If": [_, then, _]}:
            found = resolve(then, template)
        case dict() if len(node) == 1 and next(iter(node)).startswith("Fn::"):
            found = OPAQUE
        case dict():
            found = {key: resolve(value, template) for key, value in node.items()}
        case list():
            found = [resolve(value, template) for value in node]
        case _:
            found = node
    return found


def _substituted(text: str, given: dict[str, Any], template: dict[str, Any]) -> str:
    return _REFERENCE.sub(lambda found: str(given.get(found[1], _value(found[1], template))), text)


def _value(name: str, template: dict[str, Any]) -> Any:
    if name in PSEUDO:
        return PSEUDO[name]
    return template.get("Parameters", {}).get(name, {}).get("Default", OPAQUE)


# ── after SAM ────────────────────────────────────────────────────────────────


@functools.cache
def load_translated() -> dict[str, Any]:
    """Return what CloudFormation gets of template.yaml; one for all tests: not to be changed."""
    template = load_template()
    return translate(template) if template["Resources"] else template


def translate(template: dict[str, Any]) -> dict[str, Any]:
    """Return what CloudFormation gets, local folders replaced by places in a bucket."""
    from samtranslator.parser.parser import Parser  # noqa: PLC0415  # every worker loads this module
    from samtranslator.translator.translator import Translator  # noqa: PLC0415  # likewise

    source = copy.deepcopy(template)
    for resource in source["Resources"].values():
        for local in ("CodeUri", "ContentUri", "DefinitionUri"):
            if isinstance(resource["Properties"].get(local), str):
                resource["Properties"][local] = "s3://a-legal-bucket-name/key"
    defaults = {
        name: parameter["Default"]
        for name, parameter in source.get("Parameters", {}).items()
        if "Default" in parameter
    }
    session = boto3.Session(region_name=REGION)  # asked for its region only
    translated: dict[str, Any] = Translator(None, Parser(), boto_session=session).translate(
        source, parameter_values=defaults, get_managed_policy_map=dict
    )
    for resource in translated["Resources"].values():
        resource.setdefault("Properties", {})
    return translated


def cycle(template: dict[str, Any]) -> list[str] | None:
    """Return resources that wait for one another in a ring, the first one named twice."""
    resources = template["Resources"]
    edges = {
        name: sorted({*references(body), *as_list(body.get("DependsOn", []))} & resources.keys())
        for name, body in resources.items()
    }
    done: set[str] = set()

    def walk(name: str, path: list[str]) -> list[str] | None:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return None
        found = next((ring for to in edges[name] if (ring := walk(to, [*path, name]))), None)
        done.add(name)
        return found

    return next((ring for name in edges if (ring := walk(name, []))), None)


def lint(template: dict[str, Any], ignored: tuple[str, ...] = ()) -> list[str]:
    """Return cfn-lint's errors and warnings."""
    from cfnlint.api import lint as cfn_lint  # noqa: PLC0415  # a second: it brings sympy
    from cfnlint.core import get_rules  # noqa: PLC0415  # likewise

    matches = cfn_lint(json.dumps(template), get_rules([], list(ignored), []), [REGION])
    return [
        f"{match.rule.id} at {'/'.join(map(str, getattr(match, 'path', None) or ()))}: "
        f"{match.message}"
        for match in matches
    ]
