"""Every verb has help, is documented, and is found where --help and docs/cli.md list it."""

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from tidemill_cli import failures
from tidemill_cli.main import SECTIONS, verbs

DOCS = (Path(__file__).parents[3] / "docs" / "cli.md").read_text()
COMMANDS = verbs()
VERBS = sorted(COMMANDS)
HEAVY = ("boto3", "botocore", "pydantic", "yaml", "asyncio", "ministack", "polars", "jsonschema")


def section(verb):
    found = re.search(rf"^### {verb}\n(.*?)(?=^##|\Z)", DOCS, re.DOTALL | re.MULTILINE)
    return found[1] if found else ""


def test_the_documentation_lists_the_verbs_in_the_order_of_the_help():
    headings = re.findall(r"^### (.+)$", DOCS, re.MULTILINE)
    titles = re.findall(r"^## (.+)$", DOCS, re.MULTILINE)

    assert headings == list(COMMANDS)
    assert titles[1:] == list(SECTIONS)


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_has_help_that_fits_a_line(verb, run):
    answer = run(*verb.split(), "--help")

    assert answer.exit_code == 0
    assert COMMANDS[verb].help
    assert not COMMANDS[verb].get_short_help_str(64).endswith("...")


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_is_documented_with_all_its_options_and_arguments(verb):
    text = section(verb)
    usage = re.search(rf"`(tidemill {verb}.*?)`", text)[1]
    shared = {"stack", "json", "debug", "help"}
    for parameter in COMMANDS[verb].params:
        if isinstance(parameter, click.Argument):
            assert (
                parameter.make_metavar(click.Context(COMMANDS[verb])).strip("[]")[:3].upper()
                in usage.upper()
            )
        elif not shared & {option.strip("-") for option in parameter.opts}:
            assert parameter.opts[0] in usage, f"{parameter.opts[0]} is not in {usage}"
            assert parameter.help or parameter.default is not None


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_takes_the_shared_options_and_its_json_is_documented(verb):
    options = {option for parameter in COMMANDS[verb].params for option in parameter.opts}

    assert {"--stack", "--json", "--debug"} <= options
    assert re.search(r"^JSON: (object|array) of `", section(verb), re.MULTILINE)


def test_help_imports_nothing_heavy():
    """So that it answers in 0.1 s; the import list is what decides, and is the same anywhere."""
    code = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from tidemill_cli.main import main\n"
        "assert CliRunner().invoke(main, ['--help']).exit_code == 0\n"
        "print(' '.join(sorted(name.partition('.')[0] for name in sys.modules)))\n"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    ).stdout.split()

    assert not set(HEAVY) & set(printed)


def test_the_exit_statuses_are_documented():
    rows = dict(re.findall(r"^\| (\d+) \| (.+?) \|$", DOCS, re.MULTILINE))

    assert rows.keys() == {
        str(status)
        for status in (
            failures.YES,
            failures.NO,
            failures.MALFORMED,
            failures.UNREACHABLE,
            failures.INTERRUPTED,
            failures.READER_LEFT,
        )
    }
