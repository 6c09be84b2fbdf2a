"""The command line on fakes: no AWS, no network, no process."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from tidemill_cli.main import main
from tidemill_cli.session import Session


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch, tmp_path):
    """Nothing of the machine's own AWS or local cloud is seen."""
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "TIDEMILL_STACK", "TIDEMILL_STATE", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def no_stack(name):
    raise AssertionError(f"the stack {name} was asked for")


@pytest.fixture
def run():
    """Run the command; `opener` stands for finding the stack."""

    def call(*arguments, opener=no_stack, **options):
        return CliRunner().invoke(main, list(arguments), obj=Session(opener=opener), **options)

    return call


@pytest.fixture
def documented():
    """Return the JSON keys that docs/cli.md promises for a verb, or for a list within."""
    text = (Path(__file__).parents[3] / "docs" / "cli.md").read_text()

    def keys(verb, part=""):
        section = re.search(rf"^### {verb}\n(.*?)(?=^##|\Z)", text, re.DOTALL | re.MULTILINE)[1]
        line = re.search(
            rf"^JSON{f' {part}' if part else ''}: (?:object|array) of (.+)$", section, re.MULTILINE
        )[1]
        return tuple(re.findall(r"`(\w+)`", line))

    return keys
