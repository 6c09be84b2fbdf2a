"""How much disk a job takes: SageMaker gives each instance a volume, here there is one disk."""

import os
import shutil
import time
from pathlib import Path

_GIBIBYTE = 2**30
_BLOCK = 512  # of st_blocks, whatever the file system's own blocks are
_SECONDS = 1.0
_SHARE = 20.0  # looking takes at most this part of the time
_BLAMED_BYTES = 64 * 2**20  # a job that has less is not why the disk is full


class VolumeFullError(Exception):
    """A job has filled its volume, or the disk; the message is its FailureReason."""


class Volume:
    """
    What one host's files may take.

    Args:
        directory: Where they are.
        gigabytes: VolumeSizeInGB; None is no limit.
        free: What must be left of the disk, in bytes.
    """

    def __init__(self, directory: Path, gigabytes: int | None, free: int) -> None:
        self._directory = directory
        self._gigabytes = gigabytes
        self._free = free
        self._look_at = 0.0

    def check(self) -> None:
        """
        Look, now and then, whether there is room.

        Raises:
            VolumeFullError: There is not.
        """
        began = time.monotonic()
        if began < self._look_at:
            return
        used = used_bytes(self._directory)
        took = time.monotonic() - began
        self._look_at = began + max(_SECONDS, _SHARE * took)
        if self._gigabytes is not None and used > self._gigabytes * _GIBIBYTE:
            raise VolumeFullError(
                "AlgorithmError: No space left on device: the job's files took more than its "
                f"VolumeSizeInGB ({self._gigabytes}); ask for a larger volume or write less"
            )
        if used > _BLAMED_BYTES and free_bytes(self._directory) < self._free:
            raise VolumeFullError(
                "AlgorithmError: No space left on device: the disk of the local cloud is nearly "
                f"full, and the job's files took {used / _GIBIBYTE:.1f} GiB of it; free some of "
                "the disk or write less"
            )


def used_bytes(directory: Path) -> int:
    """Return what the files below a directory take of the disk; symbolic links are not followed."""
    total = 0
    for parent, _, names in os.walk(directory):
        for name in names:
            try:
                total += Path(parent, name).lstat().st_blocks * _BLOCK
            except OSError:  # it was removed a moment ago
                continue
    return total


def free_bytes(directory: Path) -> int:
    """Return how much of a directory's disk is free."""
    return shutil.disk_usage(directory).free
