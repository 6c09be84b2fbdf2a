import pytest

from tidemill.domain.admission import ObjectVersion
from tidemill.domain.placement import TRUTH, place
from tidemill.domain.truth import MOST_BYTES, misplaced, too_large


def version(key, size):
    return ObjectVersion("lake", key, "v", "e", size, 0.0, "")


@pytest.mark.parametrize(
    ("key", "size", "large"),
    [
        ("truth/p/m/a.csv", MOST_BYTES, False),
        ("truth/p/m/a.csv", MOST_BYTES + 1, True),
        ("truth/p/m/a.csv.gz", MOST_BYTES // 8, False),
        ("truth/p/m/a.parquet", MOST_BYTES // 8 + 8, True),
    ],
)
def test_a_file_is_too_large_by_what_its_text_would_take(key, size, large):
    found = too_large(version(key, size))
    assert (found is not None) == large
    assert found is None or (found.name == "quarantine" and "in parts" in found.next_step)


def test_sagemakers_folders_by_hour_are_the_models():
    placed = place("truth/p/m/2026/11/20/10/labels.jsonl", TRUTH)
    assert (placed.ref, placed.name) == ("p/m", "2026/11/20/10/labels.jsonl")
    assert place("truth/p/m/a.csv") is None, "no upload to learn from"
    assert place("raw/p/m/a.csv", TRUTH) is None


def test_what_no_model_takes_is_told_where_it_belongs():
    assert "truth/<project>/<model>/" in misplaced(None).reason
    assert misplaced(place("truth/p/m/a.csv", TRUTH)).reason == "there is no model p/m"
