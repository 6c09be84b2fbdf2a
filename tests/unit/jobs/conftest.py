"""A lake on disk, a container on disk, and a small dataset that can be learned."""

import hashlib
import json
import random
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tidemill_jobs.container import Container
from tidemill_jobs.errors import GoneError
from tidemill_jobs.lake import Lake, ObjectVersion
from tidemill_jobs.prepare import prepare
from tidemill_jobs.spec import Spec


@dataclass
class LakeOnDisk(Lake):
    """Keeps objects in a folder; every address has one version."""

    root: Path
    written: list[str] = field(default_factory=list)

    def upload(self, name, content):
        path = self._path(f"s3://lake/raw/{name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return ObjectVersion(f"s3://lake/raw/{name}", "v1", path.stat().st_size)

    def read(self, version, path):
        source = self._path(version.uri)
        if not source.exists():
            raise GoneError(f"{version.uri} is gone.")
        shutil.copy(source, path)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    def find_text(self, uri):
        path = self._path(uri)
        return path.read_text(encoding="utf-8") if path.exists() else None

    def names(self, prefix):
        folder, _, begin = prefix.rpartition("/")
        path = self._path(folder)
        found = path.iterdir() if path.exists() else ()
        return sorted(one.name for one in found if one.name.startswith(begin))

    def put_file(self, path, uri):
        self.put_bytes(path.read_bytes(), uri)

    def put_text(self, text, uri):
        self.put_bytes(text.encode(), uri)

    def put_bytes(self, content, uri):
        path = self._path(uri)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.written.append(uri)

    def _path(self, uri):
        return self.root / uri.removeprefix("s3://")


@pytest.fixture
def lake(tmp_path):
    return LakeOnDisk(tmp_path / "lake-on-disk")


@pytest.fixture
def container(tmp_path):
    return Container(tmp_path / "ml", {})


@pytest.fixture
def make_spec():
    def make(**changes):
        defaults = {
            "format": "csv",
            "target": "late",
            "id": None,
            "timestamp": None,
            "exclude": (),
            "validation": 0.2,
            "test": 0.2,
            "seed": 1,
            "problem": "binary",
        }
        return Spec(**{**defaults, **changes})

    return make


@pytest.fixture
def flights():
    """CSV of departures: late when it storms, mostly late from Oslo."""

    def make(rows=400, seed=0, target=None):
        draw = random.Random(seed)
        lines = ["id,left,wind,origin,night,late"]
        for number in range(rows):
            wind = round(draw.uniform(0, 40), 1)
            origin = draw.choice(["Oslo", "Rome", "Bonn", "Nice, FR"])
            night = draw.random() < 0.3
            late = target(wind, origin) if target else wind + 15 * (origin == "Oslo") > 30
            wind_cell = "" if draw.random() < 0.05 else f"{wind}"
            left = f"2026-0{draw.randint(1, 9)}-1{draw.randint(0, 9)}T{draw.randint(10, 23)}:30:00Z"
            cell = f'"{origin}"' if "," in origin else origin
            late = (
                late
                if isinstance(late, (str, int, float)) and not isinstance(late, bool)
                else ("yes" if late else "no")
            )
            lines.append(f"f{seed}-{number},{left},{wind_cell},{cell},{str(night).lower()},{late}")
        return "\n".join(lines) + "\n"

    return make


@pytest.fixture
def run_prepare(lake, tmp_path, make_spec):
    def run(*files, contract=None, released=(), **changes):
        versions = [
            lake.upload(
                f"f{number}.csv" if isinstance(file, (str, bytes)) else file[0],
                file if isinstance(file, (str, bytes)) else file[1],
            )
            for number, file in enumerate(files)
        ]
        versions = [replace(item, released=n in released) for n, item in enumerate(versions)]
        work = tmp_path / f"work{len(lake.written)}"
        work.mkdir(exist_ok=True)
        spec = make_spec(**changes)
        return prepare(spec, versions, lake, "s3://lake/prepared", work, contract=contract)

    return run


@pytest.fixture
def prepare_flights(run_prepare, flights):
    """Prepare one file of departures."""

    def run(rows=400, target=None, **changes):
        return run_prepare(flights(rows, target=target), id="id", **changes)

    return run


@pytest.fixture
def prepared(lake):
    """Where `run_prepare` has written."""
    return lake.root / "lake" / "prepared"


@pytest.fixture
def stage_training(container, prepared):
    """Lay the prepared files out as SageMaker's training channels and write hyperparameters."""

    def stage(**hyperparameters):
        for channel in ("train", "validation", "features"):
            listed = json.loads((prepared / f"{channel}.manifest").read_text())
            for name in listed[1:]:
                path = container.channel(channel) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(prepared / name, path)
        config = container.base / "input" / "config"
        config.mkdir(parents=True, exist_ok=True)
        (config / "hyperparameters.json").write_text(json.dumps(hyperparameters))

    return stage
