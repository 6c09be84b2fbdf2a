"""What has no room in a function goes on as a job; other faults keep their name."""

from types import SimpleNamespace

import pytest

from tidemill.errors import OutOfRoomError
from tidemill.room import require_all, room, seconds_left


@pytest.mark.parametrize(
    ("error", "lacks"), [(MemoryError(), "memory"), (OSError(28, "No space left"), "disk")]
)
def test_too_little_memory_or_disk_is_said_and_the_folder_is_gone(error, lacks):
    folders = []

    def fills():
        with room("3 files") as work:
            (work / "one").write_text("x")
            folders.append(work)
            raise error

    with pytest.raises(OutOfRoomError, match=f"3 files need more {lacks}"):
        fills()
    assert not folders[0].exists()


def test_other_faults_keep_their_name():
    with pytest.raises(PermissionError), room("3 files"):
        raise PermissionError


def test_what_time_did_not_suffice_for_is_counted():
    require_all(3, 3, "uploads")
    with pytest.raises(OutOfRoomError, match="2 of 3 uploads are left to read"):
        require_all(1, 3, "uploads")
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: 1500)
    assert seconds_left(context)() == 1.5
