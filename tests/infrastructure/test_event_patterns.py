"""
Every event pattern lets in what it is meant for, and keeps something out.

A misspelt field in a pattern matches nothing, and no linter says so. The samples in events/ are
held against each pattern; what only a deployment knows (a bucket's generated name) matches any.
"""

import json

import pytest
from moto.events.models import EventPattern  # pinned; EventBridge's own matcher is not at hand

from .template_model import OPAQUE, ROOT, load_template, load_translated, of_type, resolve

SAMPLES = {path.stem: json.loads(path.read_text()) for path in (ROOT / "events").glob("*.json")}


def events(document):
    """Yield the EventBridge events in a sample: itself, or what a queue's records carry."""
    if "detail-type" in document:
        yield document
    for record in document.get("Records", []):
        body = record.get("body", "")
        if "detail-type" in body:
            yield json.loads(body)


EVENTS = {f"{name}-{n}": e for name, d in SAMPLES.items() for n, e in enumerate(events(d))}


def loosened(pattern, template):
    """Resolve a pattern's intrinsics; a filter on what is not known yet asks for presence."""
    match resolve(pattern, template):
        case dict() as known:
            return {key: loosened(value, template) for key, value in known.items()}
        case list() as filters:
            return [
                {"exists": True} if OPAQUE in json.dumps(f, ensure_ascii=False) else f
                for f in filters
            ]
        case other:
            return other


def patterns():
    template = load_template()
    rules = of_type(load_translated(), "AWS::Events::Rule")
    return {
        name: loosened(rule["Properties"]["EventPattern"], template)
        for name, rule in rules.items()
        if "EventPattern" in rule["Properties"]
    }


PATTERNS = patterns()


def matching(pattern):
    compiled = EventPattern(None, pattern)
    return {name for name, event in EVENTS.items() if compiled.matches_event(event)}


def test_there_are_patterns_and_samples():
    assert PATTERNS, "no rule of the template has a pattern"
    assert EVENTS, "no sample in events/ is an EventBridge event"


@pytest.mark.parametrize("rule", PATTERNS)
def test_it_matches_a_sample_and_rejects_another(rule):
    found = matching(PATTERNS[rule])
    assert found, f"no sample in events/ matches {json.dumps(PATTERNS[rule])}"
    assert found != EVENTS.keys(), f"every sample matches {json.dumps(PATTERNS[rule])}"


@pytest.mark.parametrize("rule", PATTERNS)
def test_it_names_a_source(rule):
    assert "source" in PATTERNS[rule], "events of any service would match"


def test_what_is_unknown_before_a_deployment_matches_anything():
    template = {"Resources": {"Lake": {"Type": "AWS::S3::Bucket"}}}
    pattern = {"detail": {"bucket": {"name": [{"Ref": "Lake"}]}, "n": [{"prefix": "raw/"}]}}
    compiled = EventPattern(None, loosened(pattern, template))
    assert compiled.matches_event({"detail": {"bucket": {"name": "any"}, "n": "raw/x"}})
    assert not compiled.matches_event({"detail": {"bucket": {"name": "any"}, "n": "x"}})
    assert not compiled.matches_event({"detail": {"bucket": {}, "n": "raw/x"}})
