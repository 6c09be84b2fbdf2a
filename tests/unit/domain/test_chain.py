"""The canonical form is exact: what is equal has one, and what differs has another."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.domain.chain import (
    MOST_BYTES,
    MOST_ENTRIES,
    NOTHING_BEFORE,
    Named,
    canonical,
    changed_names,
    digest,
    follow,
    link_hash,
    link_key,
)

NOW = "2026-11-20T10:00:00.000Z"


def number(text):
    return canonical({"n": {"N": text}})


@pytest.mark.parametrize(
    ("written", "same"),
    [
        ("1.0", "1"),
        ("100", "1E+2"),
        ("-0", "0"),
        ("0.50", "5E-1"),
        ("1795168800.250", "1795168800.25"),
        ("1e-05", "0.00001"),
    ],
)
def test_one_number_has_one_form(written, same):
    assert number(written) == number(same)


def test_numbers_of_38_digits_are_kept_exactly():
    digits = "12345678901234567890123456789012345678"
    assert number(digits) == f'{{"n":{{"N":"{digits}"}}}}'
    assert number(digits) != number(digits[:-1] + "9")


def test_what_only_looks_alike_differs():
    forms = [
        {"S": "1"},
        {"N": "1"},
        {"BOOL": True},
        {"NULL": True},
        {"L": [{"S": "1"}]},
        {"SS": ["1"]},
        {"M": {"1": {"S": "1"}}},
    ]
    assert len({digest({"a": form}) for form in forms}) == len(forms)


def test_order_counts_in_lists_and_nowhere_else():
    assert canonical({"b": {"SS": ["y", "x"]}, "a": {"S": "ü"}}) == canonical(
        {"a": {"S": "ü"}, "b": {"SS": ["x", "y"]}}
    )
    assert canonical({"a": {"S": "ü"}}) == '{"a":{"S":"ü"}}'
    assert digest({"a": {"L": [{"S": "x"}, {"S": "y"}]}}) != digest(
        {"a": {"L": [{"S": "y"}, {"S": "x"}]}}
    )


def test_bytes_are_one_thing_in_the_table_and_in_the_stream():
    assert digest({"a": {"B": b"\x00\xff"}}) == digest({"a": {"B": "AP8="}})


values = st.recursive(
    st.one_of(
        st.text(max_size=5).map(lambda text: {"S": text}),
        st.integers(-(10**30), 10**30).map(lambda number: {"N": str(number)}),
        st.booleans().map(lambda flag: {"BOOL": flag}),
        st.just({"NULL": True}),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: {"L": items}),
        st.dictionaries(st.text(max_size=4), inner, max_size=3).map(lambda items: {"M": items}),
    ),
    max_leaves=8,
)
items = st.dictionaries(st.text(max_size=4), values, max_size=4)


@given(items, items)
def test_two_items_have_one_digest_only_if_they_are_equal(one, other):
    assert (digest(one) == digest(other)) == (one == other)
    assert list(changed_names(one, other)) != [] or one == other
    json.loads(canonical(one))


def test_what_changed_is_named_down_to_the_fact():
    old = {"verdict": {"S": "accept"}, "facts": {"M": {"size": {"N": "1.0"}, "key": {"S": "a"}}}}
    new = {"verdict": {"S": "reject"}, "facts": {"M": {"size": {"N": "1"}, "by": {"S": "x"}}}}
    assert list(changed_names(old, new)) == ["facts.by", "facts.key", "verdict"]


def named(key="upload#1", sequence=None, expires=None):
    return Named(key, "d" * 64, NOW, sequence, expires)


def test_the_first_link_follows_nothing():
    link, taken = follow("p/m", None, [named(sequence=7), named("b", 9)], NOW)

    assert (link.number, link.previous, taken) == (1, NOTHING_BEFORE, 2)
    assert (link.first, link.last, link.late) == (7, 9, 0)


def test_a_late_link_says_so_and_keeps_the_place_in_the_stream():
    head, _ = follow("p/m", None, [named(sequence=7)], NOW)
    late, _ = follow("p/m", head, [named("b")], NOW)
    after, _ = follow("p/m", late, [named("c", 8)], NOW)

    assert (late.first, late.last, late.late) == (0, 7, 2)
    assert (after.last, after.late) == (8, 2)


@settings(max_examples=25)
@given(st.lists(st.integers(1, 1024), min_size=1, max_size=1500))
def test_a_link_fits_an_item_and_takes_at_least_one_entry(lengths):
    entries = [named("k" * length, place + 1) for place, length in enumerate(lengths)]
    link, taken = follow("p/m", None, entries, NOW)

    assert 1 <= taken <= MOST_ENTRIES
    assert sum(len(key) + len(found) for key, found in link.entries) <= MOST_BYTES
    assert taken == len(entries) or taken == MOST_ENTRIES or taken >= MOST_BYTES // (1024 + 72)


def test_a_link_knows_when_its_first_entry_may_be_removed():
    link, _ = follow("p/m", None, [named("a"), named("b", expires=9), named("c", expires=5)], NOW)
    assert link.expires == 5


def test_a_link_s_hash_covers_all_but_itself():
    item = {"number": {"N": "1"}, "previous": {"S": NOTHING_BEFORE}}
    assert link_hash(item) == link_hash({**item, "hash": {"S": "x"}})
    assert link_hash(item) != link_hash({**item, "number": {"N": "2"}})


def test_keys_of_links_sort_as_their_numbers():
    assert link_key(9) < link_key(10) < link_key(999_999_999_999)
