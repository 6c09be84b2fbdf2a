import json
import subprocess
import sys

import pytest

from tidemill_local import __main__ as program
from tidemill_local.processes import ProcessIdentity
from tidemill_local.state_directory import (
    StateDirectory,
    StateDirectoryForeignError,
    StateDirectoryInUseError,
    StateDirectoryUnusableError,
)

HOLD = """
import sys, time
from pathlib import Path
from tidemill_local.state_directory import StateDirectory
state = StateDirectory(Path(sys.argv[1]))
with state.owned(4567):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def state(tmp_path):
    directory = StateDirectory(tmp_path / "state")
    directory.create()
    return directory


@pytest.fixture
def holder(state):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(state.root)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_free_directory_has_no_owner(state):
    assert state.owner() is None


def test_an_owned_directory_names_its_owner(state, holder):
    owner = state.owner()

    assert (owner.pid, owner.port) == (holder.pid, 4567)
    assert owner.endpoint == "http://127.0.0.1:4567"
    assert owner.identity.is_alive()


def test_a_second_engine_is_refused_with_the_owner_and_the_way_out(state, holder):
    with (
        pytest.raises(StateDirectoryInUseError, match=rf"process {holder.pid} .*--state"),
        state.owned(4568, patience=0.1),
    ):
        pass


def test_a_killed_owner_leaves_the_directory_free(state, holder):
    holder.kill()
    holder.wait()

    assert state.owner() is None
    with state.owned(4568) as owner:
        assert owner.port == 4568


def test_a_directory_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(StateDirectoryUnusableError, match="--state"):
        StateDirectory(tmp_path / "file" / "state").create()


@pytest.mark.parametrize(
    "held",
    [{"README": "# Our project\n"}, {"thesis.tex": ""}, {"README": "", "thesis.tex": ""}],
    ids=["readme", "file", "empty readme"],
)
def test_a_directory_with_other_content_is_refused_and_stays_as_it_is(tmp_path, held):
    for name, text in held.items():
        (tmp_path / name).write_text(text)

    with pytest.raises(StateDirectoryForeignError, match="Choose a new or empty directory"):
        StateDirectory(tmp_path).create()

    assert {item.name: item.read_text() for item in tmp_path.iterdir()} == held


@pytest.mark.parametrize("cut", [0, 7])
def test_a_directory_whose_making_was_cut_short_is_made(tmp_path, state, cut):
    marker = (state.root / "README").read_text()
    begun = tmp_path / "begun"
    begun.mkdir()
    (begun / "README").write_text(marker[:cut])

    StateDirectory(begun).create()
    StateDirectory(begun).create()  # and it is known again

    assert (begun / "README").read_text() == marker


def test_a_directory_in_which_only_the_log_was_opened_is_made(tmp_path):
    (tmp_path / "local.log").touch()

    StateDirectory(tmp_path).create()

    assert (tmp_path / "README").exists()


def test_the_directory_is_chosen_by_argument_then_variable_then_default(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TIDEMILL_STATE", raising=False)
    assert StateDirectory.locate().root == tmp_path / ".tidemill"

    monkeypatch.setenv("TIDEMILL_STATE", str(tmp_path / "elsewhere"))
    assert StateDirectory.locate().root == tmp_path / "elsewhere"
    assert StateDirectory.locate(tmp_path / "named").root == tmp_path / "named"


def test_the_directory_is_private_and_unversioned(state):
    assert state.root.stat().st_mode & 0o077 == 0
    assert (state.root / ".gitignore").read_text() == "*\n"


def test_what_a_killed_engine_left_is_cleaned_up(state):
    orphan = subprocess.Popen(["sleep", "60"])
    stranger = subprocess.Popen(["sleep", "60"])
    listed = [
        vars(ProcessIdentity.of(orphan.pid)),
        {"pid": stranger.pid, "started": "of another process with this id"},
    ]
    state.children.write_text(json.dumps(listed))
    (state.temporary / "left").write_text("behind")

    program.clean_up(state)

    assert orphan.wait(5) < 0
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()
    assert list(state.temporary.iterdir()) == []
    assert not state.children.exists()


def test_a_half_written_list_of_children_is_no_obstacle(state):
    state.children.write_text('[{"pid": 1')

    program.clean_up(state)

    assert not state.children.exists()


def test_the_program_says_why_it_does_not_start(state, holder, capsys):
    status = program.main(["--port", "4568", "--state", str(state.root)])

    assert status == 1
    assert "is in use" in capsys.readouterr().err
