"""A model archive is unpacked only when it is harmless."""

import gzip
import io
import tarfile

import pytest

from tidemill_local.containers.archive import ArchiveError, unpack


@pytest.fixture
def into(tmp_path):
    directory = tmp_path / "model"
    directory.mkdir()
    return directory


def pack(path, entries, mode="w:gz"):
    with tarfile.open(path, mode) as tar:
        for name, content in entries:
            info = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
            else:
                info.type, info.linkname = content
                tar.addfile(info)
    return path


@pytest.mark.parametrize("mode", ["w:gz", "w"])
def test_files_and_directories_arrive(tmp_path, into, mode):
    archive = pack(
        tmp_path / "model.tar.gz",
        [("./", (tarfile.DIRTYPE, "")), ("./model.onnx", b"m"), ("code/inference.py", b"c")],
        mode,
    )

    unpack(archive, into)

    assert (into / "model.onnx").read_bytes() == b"m"
    assert (into / "code" / "inference.py").read_bytes() == b"c"


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("../evil", b"x", "leads out"),
        ("a/../../evil", b"x", "leads out"),
        ("/etc/evil", b"x", "leads out"),
        ("a\\..\\evil", b"x", "leads out"),
        ("link", (tarfile.SYMTYPE, "/etc/passwd"), "link or a device"),
        ("link", (tarfile.SYMTYPE, "model.onnx"), "link or a device"),
        ("hard", (tarfile.LNKTYPE, "model.onnx"), "link or a device"),
        ("device", (tarfile.CHRTYPE, ""), "link or a device"),
        ("pipe", (tarfile.FIFOTYPE, ""), "link or a device"),
    ],
)
def test_hostile_entry_is_refused_by_name(tmp_path, into, name, content, says):
    archive = pack(tmp_path / "model.tar.gz", [("model.onnx", b"m"), (name, content)])

    with pytest.raises(ArchiveError, match=says):
        unpack(archive, into)

    assert not (tmp_path / "evil").exists()
    assert sorted(path.name for path in into.rglob("*")) == ["model.onnx"]


def test_bomb_is_refused_before_it_is_written(tmp_path, into):
    archive = pack(tmp_path / "model.tar.gz", [("zeros", bytes(50_000_000))])
    assert archive.stat().st_size < 100_000

    with pytest.raises(ArchiveError, match="more than 1000000 bytes"):
        unpack(archive, into, max_bytes=1_000_000)

    assert list(into.iterdir()) == []


def test_many_files_are_refused(tmp_path, into):
    archive = pack(tmp_path / "model.tar.gz", [(str(i), b"") for i in range(11)])

    with pytest.raises(ArchiveError, match="more than 10 files"):
        unpack(archive, into, max_files=10)


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b\x08\x00broken"])
def test_damaged_archive_is_an_error(tmp_path, into, content):
    archive = tmp_path / "model.tar.gz"
    archive.write_bytes(content)

    with pytest.raises(ArchiveError, match="cannot be read"):
        unpack(archive, into)


def test_truncated_archive_is_an_error(tmp_path, into):
    archive = pack(tmp_path / "model.tar.gz", [("a", bytes(range(256)) * 4000)])
    archive.write_bytes(archive.read_bytes()[:-200])

    with pytest.raises(ArchiveError, match="cannot be read"):
        unpack(archive, into)


def test_a_header_is_not_read_into_memory(tmp_path):
    header = tarfile.TarInfo("pax")
    header.type = tarfile.XHDTYPE
    header.size = 1 << 40
    archive = tmp_path / "model.tar.gz"
    archive.write_bytes(gzip.compress(header.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 16)))

    with pytest.raises(ArchiveError, match="a header of 1099511627776 bytes"):
        unpack(archive, tmp_path)
