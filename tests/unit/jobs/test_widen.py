"""What a person accepts as the contract keeps it then, and so does what kept it before."""

import random
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidemill_jobs.check import facts_of
from tidemill_jobs.contract.facts import ReadAs
from tidemill_jobs.contract.infer import infer
from tidemill_jobs.contract.judge import judge
from tidemill_jobs.contract.widen import widen
from tidemill_jobs.errors import RefusedError
from tidemill_jobs.lake import ObjectVersion
from tidemill_jobs.spec import Check, ColumnRule

REFUSE = Check()


@pytest.fixture
def facts(tmp_path):
    def make(text, name="a.csv"):
        path = tmp_path / "object"
        path.write_text(text)
        version = ObjectVersion(f"s3://lake/raw/air/late/{name}", name, path.stat().st_size)
        return facts_of(path, version, "", ReadAs("csv", None, ()))

    return make


@pytest.fixture
def spec(make_spec):
    return make_spec(id="id", check=REFUSE)


def table(rows=300, seed=0, **cells):
    draw = random.Random(seed)
    lines = []
    for number in range(rows):
        row = {
            "id": f"f{seed}-{number}",
            "wind": str(draw.randint(0, 40)),
            "origin": draw.choice(["Oslo", "Rome"]),
            "late": draw.choice(["yes", "no"]),
        }
        row |= {name: cell(number) for name, cell in cells.items()}
        lines.append({name: cell for name, cell in row.items() if cell is not None})
    return "\n".join(",".join(line) for line in [lines[0], *(row.values() for row in lines)]) + "\n"


def test_a_file_that_keeps_the_contract_changes_nothing(facts, spec):
    held = infer([facts(table())], spec)
    assert widen(held, facts(table(seed=1), "b.csv"), spec).differences == ()


@pytest.mark.parametrize(
    ("cells", "difference", "consequence"),
    [
        ({"wind": lambda n: "calm" if n % 2 else "3"}, "held numbers and holds categories", "read"),
        ({"wind": lambda n: "true" if n % 2 else "false"}, "holds true or false now", "Prepare"),
        ({"wind": lambda n: str(n * 1000)}, "has a wider range", ""),
        ({"origin": lambda n: "Lima"}, "may also hold 'Lima'", ""),
        ({"origin": lambda n: None}, "need not be there", ""),
        ({"origin": lambda n: "" if n % 3 else "Oslo"}, "of its cells suffice", ""),
        ({"gate": lambda n: "AB"[n % 2]}, "'gate' is new: categories", "missing"),
        ({"id": lambda n: "twice"}, "may repeat", ""),
    ],
)
def test_each_kind_of_change_is_said(facts, spec, cells, difference, consequence):
    first = facts(table())
    held = infer([first], spec)
    file = facts(table(seed=1, **cells), "b.csv")

    found = widen(held, file, spec)

    assert any(difference in said for said in found.differences)
    assert not consequence or any(consequence in said for said in found.consequences)
    assert judge(file, found.contract, REFUSE).verdict == "accept"
    if "Prepare" not in consequence:
        assert judge(first, found.contract, REFUSE).verdict == "accept"
    assert widen(found.contract, file, spec).contract == found.contract, "once is enough"


@pytest.mark.parametrize(
    ("cells", "match"),
    [
        ({"late": lambda n: ("yes", "no", "maybe")[n % 3]}, r"two classes.* multiclass"),
        ({"late": lambda n: str(n % 2)}, "two classes.* 'yes'"),
        ({"late": lambda n: ""}, "is empty in every row"),
        ({"late": lambda n: None}, "no column 'late', the target"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(facts, spec, cells, match):
    held = infer([facts(table())], spec)
    with pytest.raises(RefusedError, match=match):
        widen(held, facts(table(seed=1, **cells), "b.csv"), spec)


def test_what_the_spec_states_stays(facts, make_spec):
    stated = Check("refuse", 0.0, {"wind": ColumnRule(maximum=100.0)})
    spec = make_spec(id="id", check=stated)
    held = infer([facts(table())], spec)
    with pytest.raises(RefusedError, match="above the spec's maximum of 100"):
        widen(held, facts(table(seed=1, wind=str), "b.csv"), spec)


def test_a_file_that_was_read_otherwise_is_no_contract(facts, spec):
    held = infer([facts(table())], spec)
    file = replace(facts(table()), read_as=ReadAs("tsv", None, ()))
    with pytest.raises(RefusedError, match="upload it again"):
        widen(held, file, spec)


CELLS = st.sampled_from(["1", "-5e3", "007", "true", "2026-01-01", "x", "", "NA", "Oslo"])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=30))
def test_whatever_a_file_holds_it_keeps_what_it_widened(facts, spec, cells):
    held = infer([facts(table(60))], spec)
    lines = [f"{n},{wind},{origin},{'yes' if n % 2 else 'no'}" for n, (wind, origin) in enumerate(cells)]  # fmt: skip  # noqa: E501
    file = facts("id,wind,origin,late\n" + "\n".join(lines) + "\n", "b.csv")

    found = widen(held, file, spec).contract

    assert judge(file, found, REFUSE).verdict in ("accept", "warn")
    assert widen(found, file, spec).contract == found
