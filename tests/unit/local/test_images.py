"""What an image's name means on a machine without containers."""

import json
import sys

import pytest

from tidemill_local import container_tools
from tidemill_local.images import (
    UnknownImageError,
    command_for,
    container_command,
    known,
    search_path,
)


@pytest.fixture(autouse=True)
def without_docker(monkeypatch):
    monkeypatch.setattr(container_tools, "find", lambda: None)


JOBS = [sys.executable, "-m", "tidemill_jobs"]


@pytest.mark.parametrize(
    "image",
    [
        "000000000000.dkr.ecr.us-east-1.amazonaws.com/tidemill-jobs:local",
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com/tidemill-jobs",
        "localhost:5000/team/tidemill-jobs@sha256:0123",
        "tidemill-jobs:v1",
    ],
)
def test_the_jobs_image_is_known_by_its_repository(tmp_path, image):
    assert command_for(tmp_path, image) == JOBS


@pytest.mark.parametrize("image", ["not-tidemill-jobs:1", "tidemill-jobs/other:1"])
def test_a_similar_name_is_another_image(tmp_path, image):
    with pytest.raises(UnknownImageError, match="has no command for the image"):
        command_for(tmp_path, image)


def test_images_json_names_others_with_or_without_tag(tmp_path):
    images = {"reg:5000/a": ["python3", "a.py"], "reg:5000/a:special": ["/bin/true"]}
    (tmp_path / "images.json").write_text(json.dumps(images))

    assert command_for(tmp_path, "reg:5000/a:any") == [sys.executable, "a.py"]
    assert command_for(tmp_path, "reg:5000/a") == [sys.executable, "a.py"]
    assert command_for(tmp_path, "reg:5000/a:special") == ["/bin/true"]


@pytest.mark.parametrize("content", ["{", "[]", '{"a": "python a.py"}', '{"a": []}', '{"a": [1]}'])
def test_a_broken_images_json_is_named(tmp_path, content):
    (tmp_path / "images.json").write_text(content)

    with pytest.raises(UnknownImageError, match=r"images\.json"):
        command_for(tmp_path, "tidemill-jobs:local")


def test_an_entrypoint_replaces_the_images_command(tmp_path):
    image = "tidemill-jobs:local"

    assert container_command(tmp_path, image, [], ["prepare"]) == [*JOBS, "prepare"]
    assert container_command(tmp_path, image, ["/bin/sh"], ["-c", "x"]) == ["/bin/sh", "-c", "x"]
    python = container_command(tmp_path, "unknown:1", ["python3", "x.py"], ["-v"])
    assert python == [sys.executable, "x.py", "-v"]


def test_a_program_of_an_unknown_image_is_unknown_too(tmp_path):
    with pytest.raises(UnknownImageError):
        container_command(tmp_path, "unknown:1", ["/bin/sh"], [])


def test_an_unknown_image_is_run_by_docker_where_it_answers(tmp_path, monkeypatch):
    docker = container_tools.Tool("/usr/bin/docker", {"HOME": "/home/me"})
    monkeypatch.setattr(container_tools, "find", lambda: docker)

    ran = command_for(tmp_path, "unknown:1", script=True)
    assert ran[:-1] == [sys.executable, "-I", "-m", "tidemill_local.containers.docker"]
    assert json.loads(ran[-1]) == {
        "tool": "/usr/bin/docker",
        "environment": {"HOME": "/home/me"},
        "image": "unknown:1",
        "entrypoint": [],
    }
    *_, settings, argument = container_command(tmp_path, "unknown:1", ["/bin/sh", "-c"], ["x"])
    assert (json.loads(settings)["entrypoint"], argument) == (["/bin/sh", "-c"], "x")
    assert command_for(tmp_path, "tidemill-jobs:local") == JOBS
    assert "by docker" in [image for image in known(tmp_path) if image.ours][-1].runs


def test_a_python_alone_runs_scripts(tmp_path):
    images = {"mine/torch": ["/venv/bin/python3.12"]}
    (tmp_path / "images.json").write_text(json.dumps(images))

    python, launch, image = command_for(tmp_path, "mine/torch:2")
    assert (python, image) == ("/venv/bin/python3.12", "script")
    assert launch.endswith("containers/launch.py")
    entry = container_command(tmp_path, "mine/torch:2", ["python3", "x.py"], [])
    assert entry == ["/venv/bin/python3.12", "x.py"]
    assert search_path(tmp_path, "mine/torch:2", "/bin").startswith("/venv/bin:")
    assert search_path(tmp_path, "other", "/bin").endswith("containers/bin:/bin")


def test_a_script_runs_in_this_python_when_nobody_knows_its_image(tmp_path):
    assert command_for(tmp_path, "unknown:1", script=True)[0] == sys.executable
