"""
Every supported operation, asked as botocore's model of SageMaker lets anyone ask it.

Requests are drawn from the model: valid ones mean nothing, so most are refused; what matters is
that each gets an answer of the operation's shape, or an error that a client can act on.
"""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill_local.sagemaker import operations
from tidemill_local.sagemaker.service import load_operations

from .model_requests import SERVICE, least, misfits, operation, requests, spoiled, with_member

EXAMPLES = 8
load_operations()
NAMES = operations.supported()
#: The errors that the operations may answer with, by their own documentation.
CODES = {
    "ValidationException",
    "ResourceNotFound",
    "ResourceInUse",
    "ResourceLimitExceeded",
    "ConflictException",
}


@pytest.fixture(scope="module")
def service(shared_cloud):
    return shared_cloud.service


def ask(service, name, request):
    status, headers, body = service.handle(name, json.dumps(request).encode())
    assert headers["x-amzn-RequestId"]
    return status, json.loads(body)


@pytest.mark.parametrize("name", NAMES)
def test_a_request_that_keeps_the_rules_gets_an_answer_of_its_shape(service, name):
    @settings(max_examples=EXAMPLES, database=None)
    @given(request=st.one_of(least(name), requests(name)))
    def check(request):
        status, answer = ask(service, name, request)
        if status == 200:
            assert not [*misfits(operation(name).output_shape, answer, name)]
        else:
            assert (status, answer["__type"]) in {(400, code) for code in CODES}, answer
            assert answer["message"]

    check()


@pytest.mark.parametrize("name", NAMES)
def test_a_request_that_breaks_a_rule_is_refused_for_it(service, name):
    @settings(max_examples=EXAMPLES // 4, database=None)
    @given(request=least(name))
    def check(request):
        for what, code, wrong in spoiled(name, request):
            status, answer = ask(service, name, wrong)
            assert (status, answer.get("__type")) == (400, code), f"{what}: {answer}"
            assert answer["message"], what

    check()


@pytest.mark.parametrize(
    ("name", "member"),
    [(name, member) for name, offer in operations.offers().items() for member in offer.refused],
)
def test_a_member_that_is_not_supported_is_refused_by_name(service, name, member):
    @settings(max_examples=1, database=None)
    @given(request=with_member(name, member))
    def check(request):
        status, answer = ask(service, name, request)
        assert (status, answer["__type"]) == (400, "ValidationException")
        assert answer["message"] == f"{member} is not supported by the local SageMaker."

    check()


def test_what_is_not_supported_is_refused_by_name(service):
    for name in set(SERVICE.operation_names) - set(NAMES):
        status, answer = ask(service, name, {})
        assert (status, answer["__type"]) == (400, "ValidationException")
        assert answer["message"].startswith(f"{name} is a SageMaker operation that the local cloud")
