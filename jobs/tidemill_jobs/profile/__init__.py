"""
The profile of a table: bounded statistics of every column that merge exactly or within bounds.

    profiler = Profiler()
    for frame in batches:
        profiler.add(frame)
    profiler.profile().dumps()
"""

from tidemill_jobs.profile.column import Column
from tidemill_jobs.profile.extents import Lengths, Times
from tidemill_jobs.profile.kll import Kll
from tidemill_jobs.profile.numbers import Numbers
from tidemill_jobs.profile.profile import FILE_NAME, Profile, ProfileError
from tidemill_jobs.profile.profiler import Profiler

__all__ = [
    "FILE_NAME",
    "Column",
    "Kll",
    "Lengths",
    "Numbers",
    "Profile",
    "ProfileError",
    "Profiler",
    "Times",
]
