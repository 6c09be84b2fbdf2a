import re

from hypothesis import given
from hypothesis import strategies as st

from tidemill.names import LIMIT, aws_name, model_ref

WORDS = st.from_regex(r"[a-z0-9]{1,30}(-[a-z0-9]{1,20}){0,2}", fullmatch=True)


def test_a_name_says_whose_it_is():
    assert aws_name("tidemill", "flights", "delay") == "tidemill--flights--delay"
    assert aws_name("tidemill", "flights", "delay", "prepare", "run-1").endswith("--prepare--run-1")
    assert model_ref("flights", "delay") == "flights/delay"


def test_a_name_of_sixty_three_is_left_as_it_is():
    fits = aws_name("s", "p", "m" * (LIMIT - 6))
    assert len(fits) == LIMIT
    assert fits.endswith("m")
    assert len(aws_name("s", "p", "m" * (LIMIT - 5))) <= LIMIT


@given(WORDS, WORDS, WORDS)
def test_every_name_is_one_that_sagemaker_takes(stack, project, model):
    name = aws_name(stack, project, model, "run-20261120t100000-0a1b2c3d")
    assert len(name) <= LIMIT
    assert re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", name)
    assert name == aws_name(stack, project, model, "run-20261120t100000-0a1b2c3d")


@given(WORDS, WORDS, WORDS, WORDS)
def test_other_models_have_other_names(project, model, other_project, other_model):
    if (project, model) != (other_project, other_model):
        one, other = (project, model), (other_project, other_model)
        assert aws_name("tidemill", *one) != aws_name("tidemill", *other)
