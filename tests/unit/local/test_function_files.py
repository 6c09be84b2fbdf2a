import hashlib
import io
import subprocess
import sys
import zipfile

import pytest

from tidemill_local.engine.function_files import FunctionFiles, UnsafeArchiveError


def archive(files, modes=None):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as zipped:
        for name, text in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (modes or {}).get(name, 0o644) << 16
            zipped.writestr(info, text)
    return packed.getvalue()


def digest(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def files(tmp_path):
    return FunctionFiles(tmp_path / "functions")


def test_an_archive_is_unpacked_once(files):
    content = archive({"python/a.py": "A = 1", "tool": "#!"}, {"tool": 0o755})
    reads = []

    def read():
        reads.append(1)
        return content

    first = files.unpacked(digest(content), read)
    again = files.unpacked(digest(content), read)

    assert first == again
    assert (first / "python/a.py").read_text() == "A = 1"
    assert (first / "tool").stat().st_mode & 0o111
    assert reads == [1]


@pytest.mark.parametrize(
    ("name", "mode"), [("../outside", 0o644), ("/absolute", 0o644), ("link", 0o120777)]
)
def test_an_archive_cannot_write_outside(files, tmp_path, name, mode):
    content = archive({name: "/etc/passwd"}, {name: mode})

    with pytest.raises(UnsafeArchiveError):
        files.unpacked(digest(content), lambda: content)

    assert not (tmp_path / "outside").exists()
    assert list((tmp_path / "functions/unpacked").iterdir()) == []


def test_a_broken_archive_leaves_nothing(files, tmp_path):
    with pytest.raises(zipfile.BadZipFile):
        files.unpacked("0" * 64, lambda: b"no archive")

    assert list((tmp_path / "functions/unpacked").iterdir()) == []


def test_what_no_function_has_is_removed(files):
    kept, dropped = archive({"a": "1"}), archive({"a": "2"})
    folders = [files.unpacked(digest(each), lambda each=each: each) for each in (kept, dropped)]

    files.keep_only({digest(kept)})

    assert [folder.exists() for folder in folders] == [True, False]


def test_the_runtime_has_boto3_and_nothing_else(files):
    files.install_runtime()
    files.install_runtime()

    look = (
        "import sys; sys.path.append(sys.argv[1]); import boto3; boto3.client('s3', 'us-east-1')\n"
        "import importlib.util; print(importlib.util.find_spec('pydantic'))"
    )
    found = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", look, str(files.runtime)],
        capture_output=True, text=True, check=True, env={},
    )  # fmt: skip

    assert found.stdout == "None\n"
