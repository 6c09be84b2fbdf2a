"""Each function's folder, its entry in the template and the settings it reads are one thing."""

import ast
from dataclasses import fields

import pytest

from tidemill import settings

from .template_model import ROOT, load_template, of_type, property_of

FOLDERS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/app.py"))
LONGEST_HANDLER = 60  # lines
LIBRARIES = ("POWERTOOLS_", "AWS_", "LOG_LEVEL")  # read by Powertools and the AWS SDK

FUNCTIONS = {
    name: str(function["Properties"].get("CodeUri", ""))
    for name, function in of_type(load_template(), "AWS::Serverless::Function").items()
}
BY_FOLDER = {uri.removeprefix("functions/"): name for name, uri in FUNCTIONS.items()}


def module(folder):
    return ast.parse((ROOT / "functions" / folder / "app.py").read_text())


def settings_classes(tree):
    """Return the names of the classes that a module calls `from_env` of."""
    return {
        node.func.value.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "from_env"
        and isinstance(node.func.value, ast.Name)
    }


def read(folder):
    """Return the variables that a function's settings read."""
    classes = settings_classes(module(folder))
    return {f.name.upper() for name in classes for f in fields(getattr(settings, name))}


def variables(template, name):
    function = template["Resources"][name]["Properties"]
    return function.get("Environment", {}).get("Variables", {})


def shared(template):
    function = template.get("Globals", {}).get("Function", {})
    return function.get("Environment", {}).get("Variables", {})


def test_every_folder_is_a_function_and_every_function_a_folder():
    assert FOLDERS, "functions/ is empty"
    inline = {n for n, uri in FUNCTIONS.items() if not uri and "InlineCode" in function(n)}
    assert {uri for n, uri in FUNCTIONS.items() if n not in inline} == {
        f"functions/{folder}" for folder in FOLDERS
    }


def function(name):
    return load_template()["Resources"][name]["Properties"]


def test_no_two_functions_share_a_folder():
    assert len(set(FUNCTIONS.values())) == len(FUNCTIONS)


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_function_is_called_after_its_folder(folder):
    camel = "".join(word.capitalize() for word in folder.split("_"))
    assert BY_FOLDER.get(folder) == f"{camel}Function"


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_handler_exists(folder, template):
    file, _, handler = property_of(template, BY_FOLDER[folder], "Handler").partition(".")
    assert file == "app"
    defined = {node.name for node in module(folder).body if isinstance(node, ast.FunctionDef)}
    assert handler in defined


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_template_sets_what_the_settings_read(folder, template):
    given = {**shared(template), **variables(template, BY_FOLDER[folder])}
    assert read(folder) - given.keys() == set(), "read and not set"
    assert [key for key in read(folder) if given[key] == ""] == [], "set to nothing"


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_template_sets_nothing_that_nobody_reads(folder, template):
    given = {k for k in variables(template, BY_FOLDER[folder]) if not k.startswith(LIBRARIES)}
    assert given - read(folder) == set()


def test_no_shared_variable_is_read_by_nobody(template):
    given = {key for key in shared(template) if not key.startswith(LIBRARIES)}
    assert given - set().union(*map(read, FOLDERS)) == set()


def test_no_settings_class_is_used_by_nobody():
    named = set().union(*(settings_classes(module(folder)) for folder in FOLDERS))
    leaves = {
        name
        for name, kind in vars(settings).items()
        if isinstance(kind, type)
        and issubclass(kind, settings.Settings)
        and not kind.__subclasses__()
    }
    assert leaves - named == set()


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_folder_holds_code_only(folder):
    """SkipBuild and the local cloud take the folder as it is: no pins, no second module."""
    there = {path.name for path in (ROOT / "functions" / folder).iterdir()}
    assert there - {"__pycache__"} == {"app.py"}  # which is a machine's, and not in git


def test_every_layer_has_a_folder(template):
    layers = of_type(template, "AWS::Serverless::LayerVersion")
    assert layers
    for name, layer in layers.items():
        assert (ROOT / layer["Properties"]["ContentUri"]).is_dir(), name


@pytest.mark.parametrize("folder", FOLDERS)
def test_whoever_writes_the_ledger_knows_how_long_entries_are_kept(folder):
    text = (ROOT / "functions" / folder / "app.py").read_text()
    assert "Stores(" not in text, "Stores.of takes it from the settings"


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_handler_parses_makes_one_call_and_answers(folder):
    """What takes more room is a decision or an adapter's work, and has its place there."""
    lines = (ROOT / "functions" / folder / "app.py").read_text().splitlines()
    assert len(lines) <= LONGEST_HANDLER
