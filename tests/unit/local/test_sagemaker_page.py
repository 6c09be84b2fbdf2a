"""docs/local-sagemaker.md says of every operation what the code does with it."""

from pathlib import Path

from tidemill_local.sagemaker import operations, protocol
from tidemill_local.sagemaker.page import page

PAGE = Path(__file__).parents[3] / "docs/local-sagemaker.md"


def test_the_page_is_what_the_code_says():
    again = "python -m tidemill_local.sagemaker.page > docs/local-sagemaker.md"
    assert PAGE.read_text() == page(), f"write it anew: {again}"


def test_what_is_said_to_be_refused_or_idle_is_a_member_of_the_request():
    for name, offer in operations.offers().items():
        assert {*offer.refused, *offer.idle} <= protocol.members(name), name
