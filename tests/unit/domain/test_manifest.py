import base64
import contextlib
import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.domain.admission import ObjectVersion
from tidemill.domain.manifest import Named, compare, parse

FOLDER = "raw/flights/delay/dt=2026-11-01/"
SHA = hashlib.sha256(b"x").hexdigest()
MD5 = "9dd4e461268c8034f5c8564e155c67a6"


def arrived(name, verdict="accept", *, size=10, etag=MD5, checksum=f"MD5:{MD5}", uploaded=1.0):
    version = ObjectVersion("lake", FOLDER + name, "v", etag, size, uploaded, "", checksum)
    return version, verdict


@pytest.mark.parametrize("body", [b"", b" \n"])
def test_an_empty_marker_lists_nothing(body):
    assert parse(body, FOLDER) is None


def test_a_manifest_is_a_list_of_names_or_of_objects():
    items = ["a.csv", {"name": "x/b.csv", "size": 3, "sha256": SHA.upper()}, {"key": "raw/f/d/c"}]
    assert parse(json.dumps(items).encode(), FOLDER) == (
        Named(FOLDER + "a.csv"),
        Named(FOLDER + "x/b.csv", 3, sha256=SHA),
        Named("raw/f/d/c"),
    )
    assert parse(b"[]", FOLDER) == ()


@pytest.mark.parametrize(
    "body",
    [b"done", b"{}", b'"a.csv"', b"[1]", b"\xff\xff", b"[", b"[" * 100_000, b"[{}]",
     b'[{"name": 1}]', b'[{"name": "a", "size": "3"}]', b'[{"name": "a", "size": true}]',
     b'[{"name": "a", "md5": 5}]'],
    ids=lambda body: body[:20].decode("latin-1"),
)  # fmt: skip
def test_anything_else_is_refused(body):
    with pytest.raises(ValueError, match="JSON list"):
        parse(body, FOLDER)


@given(st.binary(max_size=200))
def test_whatever_the_bytes_it_is_read_or_refused(body):
    with contextlib.suppress(ValueError):
        parse(body, FOLDER)


def names(comparison):
    cut = len(FOLDER)
    return (
        [key[cut:] for key in comparison.missing],
        [key[cut:] for key in comparison.extra],
        [(wrong.version.key[cut:], wrong.verdict.rule) for wrong in comparison.wrong],
    )


def held(items, *found):
    return names(compare([parse(json.dumps(items).encode(), FOLDER)], found))


def test_missing_and_extra_files_are_named():
    assert held(["a", "b"], arrived("b"), arrived("c")) == (["a"], ["c"], [])


def test_what_was_refused_or_is_no_data_arrived_all_the_same():
    broken = {"name": "a", "size": 99}
    assert held([broken], arrived("a", "quarantine")) == ([], [], [])


@pytest.mark.parametrize(
    ("said", "rule"),
    [
        ({"size": 10, "etag": f'"{MD5}"', "md5": MD5.upper()}, None),
        ({"size": 11}, "manifest_size"),
        ({"etag": "0" * 32}, "manifest_checksum"),
        ({"md5": "0" * 32}, "manifest_checksum"),
        ({"sha256": SHA}, None),
    ],
)
def test_a_wrong_size_or_checksum_is_said_by_rule(said, rule):
    """A checksum that S3 does not keep cannot be told here: the check reads the file."""
    wrong = [("a", rule)] if rule else []
    assert held([{"name": "a", **said}], arrived("a")) == ([], [], wrong)


@pytest.mark.parametrize("content", [b"x", b"y"])
def test_a_sha256_that_s3_keeps_is_compared(content):
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
    _, _, wrong = held([{"name": "a", "sha256": SHA}], arrived("a", checksum=f"SHA256:{digest}"))
    assert wrong == ([] if content == b"x" else [("a", "manifest_checksum")])


def test_an_etag_that_is_no_md5_is_not_taken_for_one():
    assert held([{"name": "a", "md5": "0" * 32}], arrived("a", checksum="")) == ([], [], [])


def test_of_several_versions_the_newest_counts():
    old, new = arrived("a", size=1, uploaded=1.0), arrived("a", size=2, uploaded=2.0)
    assert held([{"name": "a", "size": 2}], new, old) == ([], [], [])


def test_several_manifests_count_together():
    both = [parse(b'["a"]', FOLDER), parse(b'["b", "c"]', FOLDER)]
    comparison = compare(both, [arrived("a"), arrived("b")])
    assert (comparison.named, names(comparison)) == (3, (["c"], [], []))


def test_the_sentence_names_a_few():
    comparison = compare([[Named(f"k{n}") for n in range(9)]], [])
    assert comparison.sentence() == "9 missing: 'k0', 'k1', 'k2', 'k3', 'k4' and 4 more"
