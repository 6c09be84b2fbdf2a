"""
No resource waits for itself.

`sam validate --lint` and cfn-lint stay silent about cycles in a SAM template, so CloudFormation
would be the first to say so.
"""

from .template_model import cycle


def test_the_expanded_template_has_no_cycle(translated):
    assert len(translated["Resources"]) > 1
    assert cycle(translated) is None
