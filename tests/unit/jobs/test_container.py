import json

import pytest

from tidemill_jobs import __main__ as entry
from tidemill_jobs import container as module
from tidemill_jobs import prepare
from tidemill_jobs.container import MESSAGE_BYTES, WORKERS, Container, find, read_document
from tidemill_jobs.errors import JobError, RefusedError
from tidemill_jobs.lake import Lake, ObjectVersion, read_dataset
from tidemill_jobs.spec import Spec

SPEC = {
    "version": 1,
    "data": {"format": "csv", "target": "late", "id": None, "timestamp": None, "exclude": ["a"]},
    "prepare": {"validation": 0.1, "test": 0.2, "seed": 3},
    "train": {"problem": "binary", "algorithm": "xgboost"},
    "deploy": {"count": 1},
}


def test_the_tree_is_found_under_the_base_directory(monkeypatch, tmp_path):
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path))
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    container = Container.here()

    assert container.model == tmp_path / "model"
    assert not container.is_real
    assert container.environment["OMP_WAIT_POLICY"] == "PASSIVE"
    monkeypatch.delenv("SAGEMAKER_BASE_DIR")
    assert Container.here().is_real
    assert str(Container.here().channel("train")) == "/opt/ml/input/data/train"


def test_settings_come_from_the_environment(tmp_path):
    container = Container(
        tmp_path,
        {
            "SAGEMAKER_BIND_TO_PORT": "9000",
            "PREPARED_URI": "s3://b/p/",
            "SAGEMAKER_MAX_PAYLOAD_IN_MB": "20",
        },
    )
    assert (container.port, container.prepared_uri) == (9000, "s3://b/p")
    assert container.payload_bytes == 20 * 1_048_576
    assert Container(tmp_path, {}).port == 8080
    assert Container(tmp_path, {}).payload_bytes == 6_291_456
    assert container.cpus >= 1
    with pytest.raises(JobError, match="PREPARED_URI is ''"):
        _ = Container(tmp_path, {}).prepared_uri


@pytest.mark.parametrize(
    ("files", "known", "most"),
    [
        ({"cpu.max": "max 100000\n"}, 8, 8),
        ({"cpu.max": "150000 100000\n"}, 8, 2),
        ({"cpu.max": "50000 100000\n"}, 8, 1),
        ({"cpu.max": "900000 100000\n"}, 8, 8),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8, 8),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8, 3),
        ({}, 8, 8),
        ({"cpu.max": ""}, 2, 2),
    ],
)
def test_a_containers_limit_counts_as_its_processors(monkeypatch, tmp_path, files, known, most):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(module, "CGROUP", tmp_path)
    monkeypatch.setattr(module.os, "sched_getaffinity", lambda _: range(known), raising=False)

    assert Container(tmp_path, {}).cpus == most
    assert Container(tmp_path, {}).workers == most
    assert Container(tmp_path, {WORKERS: " 3 "}).workers == 3


@pytest.mark.parametrize("told", ["0", "-1", "two", "1.5", "257", "9" * 5_000, "²"])
def test_a_number_of_workers_that_is_none_is_refused(tmp_path, told):
    with pytest.raises(JobError, match=f"{WORKERS} is '.*from 1 to 256"):
        _ = Container(tmp_path, {WORKERS: told}).workers


def test_a_long_message_is_cut_between_characters(tmp_path):
    container = Container(tmp_path, {})
    container.fail("ø" * MESSAGE_BYTES)
    written = (tmp_path / "output" / "failure").read_bytes()
    assert len(written) == MESSAGE_BYTES
    assert written.decode() == "ø" * (MESSAGE_BYTES // 2)
    container.fail("x" + "ø" * MESSAGE_BYTES)
    assert (tmp_path / "output" / "message").read_bytes().decode().endswith("ø")


def test_files_are_found_below_their_prefix_in_order(tmp_path):
    for name in ("b/2.parquet", "a/1.parquet"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    assert [path.name for path in find(tmp_path, "*.parquet")] == ["1.parquet", "2.parquet"]
    with pytest.raises(JobError, match="holds no"):
        find(tmp_path, "*.json")


def test_an_unreadable_document_is_a_sentence(tmp_path):
    (tmp_path / "spec.json").write_bytes(b"\xff")
    with pytest.raises(JobError, match="cannot be read"):
        read_document(tmp_path, "spec.json")


def test_a_compiled_spec_is_read_and_other_keys_are_ignored():
    found = Spec.parse(json.dumps(SPEC))
    assert (found.target, found.exclude, found.test, found.problem) == (
        "late",
        ("a",),
        0.2,
        "binary",
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 9}, "version 9.*build the jobs image anew"),
        ({"data": {}}, "not a compiled spec"),
        ({"prepare": None}, "not a compiled spec"),
        ({"train": {"problem": "ranking"}}, "train.problem is 'ranking'"),
        ({"data": {**SPEC["data"], "format": "xlsx"}}, "data.format is 'xlsx'"),
    ],
)
def test_another_spec_is_refused(change, said):
    with pytest.raises(JobError, match=said):
        Spec.parse(json.dumps({**SPEC, **change}))
    with pytest.raises(JobError, match="not a compiled spec"):
        Spec.parse("{")


def test_a_dataset_lists_object_versions():
    entry_ = {"uri": "s3://b/raw/x.csv", "version_id": "v", "etag": "e", "size": 3, "uploaded": "t"}
    assert read_dataset(json.dumps({"version": 1, "objects": [entry_]})) == [
        ObjectVersion("s3://b/raw/x.csv", "v", 3, "e")
    ]
    with pytest.raises(JobError, match="version 2"):
        read_dataset('{"version": 2, "objects": []}')
    with pytest.raises(JobError, match="not a dataset"):
        read_dataset('{"version": 1, "objects": [{}]}')


def test_an_empty_manifest_is_never_written():
    with pytest.raises(JobError, match="nothing to list"):
        Lake(client=object()).put_manifest("s3://b/p", [], "s3://b/p/train.manifest")


def message(container):
    return (container.base / "output" / "message").read_text()


def test_a_refusal_ends_with_3_and_a_sentence(container, monkeypatch):
    def refuse(*_):
        raise RefusedError("one class; deliver more.")

    monkeypatch.setattr(prepare, "main", refuse)
    assert entry.run(container, ["prepare"]) == 3
    assert message(container) == "Refused: one class; deliver more."
    assert (container.base / "output" / "failure").read_text() == message(container)


def test_a_fault_of_ours_ends_with_1_and_says_so(container, monkeypatch):
    def fail(*_):
        raise KeyError("x")

    monkeypatch.setattr(prepare, "main", fail)
    assert entry.run(container, ["prepare"]) == 1
    assert "KeyError: 'x'" in message(container)
    assert "not of the data" in message(container)


@pytest.mark.parametrize("arguments", [[], ["fly"], ["__main__"]])
def test_an_unknown_command_ends_with_2(container, arguments):
    assert entry.run(container, arguments) == 2
    assert "is no command; the image knows check, prepare, train," in message(container)


def test_prepare_without_its_inputs_is_a_sentence(container):
    assert entry.run(container, ["prepare"]) == 1
    assert "holds no spec.json" in message(container)
