"""Replays flights through endpoints, half a month in a minute, and sends what became of them."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import polars as pl
from botocore.config import Config
from data import LEAKS
from story import Commands, DemoError, area_under_curve

ROWS_PER_REQUEST = 250
WINDOW_SECONDS = 60
PATIENCE_SECONDS = 180
#: So much of a window must be left when its flights are sent, so that none falls into the next.
ROOM_SECONDS = 45


@dataclass(frozen=True, slots=True)
class Part:
    """Flights that are asked about within one window, and what they are called."""

    name: str
    flights: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Replayed:
    """
    What came of one part for one model.

    *farthest* are the drifted features with their distances; *kind* is the finding's: of a `shift`
    the model learns again, a `broken_upstream` is told and waited out.
    """

    part: str
    version: int
    auc: float
    says: str
    farthest: list[tuple[str, float]]
    finding: str | None
    kind: str | None

    @property
    def retrains(self) -> bool:
        """Whether a run follows."""
        return self.kind == "shift"


class Line:
    """One model whose endpoint is asked about part after part."""

    def __init__(self, commands: Commands, model: str, folder: Path) -> None:
        environment = commands.environment
        self._commands = commands
        self._client = boto3.client(
            "sagemaker-runtime",
            endpoint_url=environment["AWS_ENDPOINT_URL"],
            region_name=environment["AWS_DEFAULT_REGION"],
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
            config=Config(retries={"total_max_attempts": 5}),
        )
        self.model = model
        self._endpoint = f"tidemill--{model.replace('/', '--')}"
        self._folder = folder / model.replace("/", "--")
        self._folder.mkdir(parents=True, exist_ok=True)
        self.replayed: list[Replayed] = []

    def ask(self, part: Part) -> None:
        """Ask about a part, look at that traffic, and keep what the look said."""
        begun = datetime.fromtimestamp(time.time() // WINDOW_SECONDS * WINDOW_SECONDS, UTC)
        scores = self._scores(part)
        late = part.flights["late"].cast(pl.Int8)
        known = late.is_not_null()
        auc = area_under_curve(
            late.filter(known).to_list(), pl.Series(scores).filter(known).to_list()
        )
        window, looked = self._look(part.flights.height, since=begun)
        told = [one for one in looked["findings"] if one["window"] == window["window"]]
        farthest = sorted(window["drifted"].items(), key=lambda item: -item[1])
        says = "found" if told else "drifted" if farthest else "same"
        finding, kind = (told[0]["finding"], told[0]["kind"]) if told else (None, None)
        self.replayed.append(
            Replayed(part.name, looked["version"], auc, says, farthest, finding, kind)
        )

    def tell_truth(self, part: Part) -> None:
        """Send what became of a part's flights: as truth, and as rows to learn from."""
        labels = pl.DataFrame(
            [
                {"id": f"{part.name}-{first}", "row": row, "label": late}
                for first, some in _requests(part)
                for row, late in enumerate(some["late"].to_list())
                if late is not None
            ]
        )
        path = self._folder / f"truth-{part.name}.csv"
        labels.write_csv(path)
        self._commands.tidemill("truth", self.model, path, show=False)
        learned = self._folder / f"{part.name}.csv"
        part.flights.write_csv(learned)
        self._commands.tidemill("upload", self.model, learned, show=False)

    def _scores(self, part: Part) -> list[float]:
        def ask(request: tuple[int, pl.DataFrame]) -> list[float]:
            first, some = request
            body = some.drop("late", *LEAKS).write_csv(include_header=False)
            answer = self._client.invoke_endpoint(
                EndpointName=self._endpoint,
                ContentType="text/csv",
                Accept="text/csv",
                InferenceId=f"{part.name}-{first}",
                Body=body.encode(),
            )["Body"].read()
            return [float(line.split(",")[-1]) for line in answer.decode().splitlines()]

        with ThreadPoolExecutor(4) as askers:
            return [score for some in askers.map(ask, _requests(part)) for score in some]

    def _look(self, rows: int, *, since: datetime) -> tuple[dict[str, Any], dict[str, Any]]:
        """Look until a window has all rows of the part; return it, and all that the look knows."""
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            self._commands.tidemill("watch", self.model, "--wait", check=False, show=False)
            looked: dict[str, Any] = self._commands.tidemill_json("drift", self.model)
            for window in looked["windows"]:
                if window["rows"] >= rows and datetime.fromisoformat(window["window"]) >= since:
                    return window, looked
            if time.monotonic() > until:
                raise DemoError(f"{self.model}: {rows} rows were sent, and the watch saw {looked}")
            time.sleep(2)


def begin_window() -> None:
    """Wait until a window begins, unless one has just begun."""
    left = WINDOW_SECONDS - time.time() % WINDOW_SECONDS
    if left < ROOM_SECONDS:
        time.sleep(left + 0.5)


def read(path: Path) -> pl.DataFrame:
    """Read a month as it is written: every cell a text."""
    return pl.read_csv(path, infer_schema=False)


def halves(paths: Sequence[Path]) -> Iterator[Part]:
    """Yield the first and the second half of each month's flights."""
    for path in paths:
        flights = read(path)
        first = pl.col("scheduled").str.slice(8, 2).cast(pl.Int8) <= 15  # noqa: PLR2004  # the 15th
        yield Part(f"{path.stem}a", flights.filter(first))
        yield Part(f"{path.stem}b", flights.filter(~first))


def _requests(part: Part) -> Iterator[tuple[int, pl.DataFrame]]:
    for first in range(0, part.flights.height, ROWS_PER_REQUEST):
        yield first, part.flights.slice(first, ROWS_PER_REQUEST)
