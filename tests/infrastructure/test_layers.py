"""
What a function and its layers weigh unpacked, against Lambda's limit.

The wheels are the ones that Lambda runs (cp313 on arm64): `make install` unpacks them into
.tools/layers/<layer>/lambda, as `sam build` does.
"""

import tomllib

import pytest

from .template_model import ROOT, load_template, of_type, property_of, references

LIMIT = 262_144_000  # bytes: a function's own code and all its layers
ROOM = 8_000_000  # for what the next release of a wheel, and the functions, may grow by

AARCH64 = 183  # ELF's number of the processor

SOURCE = load_template()
LAYERS = of_type(SOURCE, "AWS::Serverless::LayerVersion")


def folder_of(layer):
    return ROOT / LAYERS[layer]["Properties"]["ContentUri"]


def size(folder):
    return sum(
        path.stat().st_size
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )


def weight(layer):
    """Return what `sam build` for Lambda puts into a layer, in bytes unpacked."""
    folder = folder_of(layer)
    wheels = ROOT / ".tools/layers" / folder.name / "lambda"
    assert wheels.is_dir(), f"{wheels} is not there: run `make install`"
    own = [each.resolve() for each in folder.iterdir() if each.is_dir()]
    return size(wheels) + sum(size(each) for each in own)


def layers_of(function):
    general = SOURCE["Globals"]["Function"].get("Layers", [])
    own = SOURCE["Resources"][function]["Properties"].get("Layers", [])  # SAM adds the two up
    return {name for layer in (*general, *own) for name in references(layer)}


@pytest.mark.parametrize("function", of_type(SOURCE, "AWS::Serverless::Function"))
def test_a_function_and_its_layers_fit_lambda(function):
    code = size(ROOT / property_of(SOURCE, function, "CodeUri"))
    assert code + sum(weight(layer) for layer in layers_of(function)) <= LIMIT


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_leaves_room_beside_the_shared_one(layer):
    assert sum(weight(each) for each in {"TidemillLayer", layer}) <= LIMIT - ROOM


def test_the_two_layers_with_wheels_do_not_fit_together():
    """Why there are two: when this fails, one would do."""
    assert weight("DataLayer") + weight("RowsLayer") > LIMIT


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_is_replaced_and_says_what_it_holds(layer):
    properties = LAYERS[layer]["Properties"]
    assert properties["RetentionPolicy"] == "Delete", "old versions would pile up"
    assert properties["Description"]
    assert properties["CompatibleRuntimes"] == ["python3.13"]


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_is_pinned_to_what_the_tests_run(layer):
    """One version of each package everywhere: layers, jobs, tests."""
    everywhere = pins(ROOT / "requirements/dev.lock")
    for name, version in pins(folder_of(layer) / "requirements.lock").items():
        assert everywhere[name] == version


def pins(lock):
    lines = [line.split(" ")[0] for line in lock.read_text().splitlines() if "==" in line]
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def test_builds_for_lambda_and_for_this_machine_never_meet():
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    places = {
        (name == "local", table[command]["parameters"][key])
        for name, table in config.items()
        if isinstance(table, dict)
        for command, key in (("build", "build_dir"), ("build", "cache_dir"))
    }
    assert {place for local, place in places if local}.isdisjoint(
        {place for local, place in places if not local}
    )


def test_the_layers_carry_the_kernel_of_lambdas_processor():
    assert SOURCE["Globals"]["Function"]["Architectures"] == ["arm64"]
    library = (folder_of("DataLayer") / "tidemill_jobs/kernel/linux-aarch64.so").read_bytes()
    assert int.from_bytes(library[18:20], "little") == AARCH64
