"""`images`: what an image stands for is said once, and holds from the next job on."""

import json
import sys

import pytest
from click.testing import CliRunner

from tidemill_cli.main import main
from tidemill_local import container_tools
from tidemill_local.images import UnknownImageError, command_for

URI = "1.dkr.ecr.eu-west-1.amazonaws.com/xgboost:1.7"


@pytest.fixture
def state(tmp_path):
    (tmp_path / "state").mkdir()
    return tmp_path / "state"


@pytest.fixture
def run(state, monkeypatch):
    monkeypatch.setenv("TIDEMILL_STATE", str(state))
    monkeypatch.setattr(container_tools, "find", lambda: None)  # a developer's Docker
    return lambda *words: CliRunner().invoke(main, ["images", *words])


def test_an_image_is_added_shown_used_replaced_and_removed(run, state, documented):
    added = run("add", URI, "--json", "--", "python", "train.py", "--fast")
    assert tuple(json.loads(added.stdout)) == documented("images add")
    assert command_for(state / "sagemaker", URI) == [sys.executable, "train.py", "--fast"]

    run("add", URI, "--", "/bin/true")
    *ours, theirs = json.loads(run("list", "--json").stdout)
    assert tuple(theirs) == documented("images list")
    assert {"tidemill-jobs", "sagemaker-xgboost"} <= {one["image"] for one in ours if one["ours"]}
    assert theirs == {"image": URI, "command": ["/bin/true"], "ours": False, "runs": "/bin/true"}
    assert "/bin/true" in run("list").stdout
    assert "built-in XGBoost" in run("list").stdout

    assert tuple(json.loads(run("remove", URI, "--json").stdout)) == documented("images remove")
    with pytest.raises(UnknownImageError, match=f"tidemill images add {URI} -- python"):
        command_for(state / "sagemaker", URI)


def test_removing_what_was_not_added_is_malformed(run):
    answer = run("remove", URI)
    assert answer.exit_code == 2
    assert "is not among the images that were added" in answer.stderr
    assert "`tidemill images list`" in answer.stderr


@pytest.mark.parametrize("verb", [("list",), ("add", URI, "--", "x"), ("remove", URI)])
def test_a_broken_registry_is_named_and_stays(run, state, verb):
    (state / "sagemaker").mkdir()
    (state / "sagemaker/images.json").write_text("{")
    answer = run(*verb)
    assert answer.exit_code == 2
    assert "images.json cannot be read" in answer.stderr
    assert (state / "sagemaker/images.json").read_text() == "{"


def test_without_a_local_cloud_it_says_how_to_make_one(run, state):
    state.rmdir()
    answer = run("list")
    assert answer.exit_code == 3
    assert "Make one with `tidemill up`" in answer.stderr
