"""One directory holds all that a local cloud keeps; one process at a time may own it."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tidemill_local.processes import ProcessIdentity

DEFAULT = Path(".tidemill")
VARIABLE = "TIDEMILL_STATE"
_MARKER = "This directory belongs to `tidemill up`. Delete it to forget the local cloud.\n"


class LocalCloudError(Exception):
    """Base of what can go wrong with a local cloud; the message is for the person who typed."""


class StateDirectoryInUseError(LocalCloudError):
    """Another live process owns the state directory."""

    def __init__(self, root: Path, owner: "Owner | None") -> None:
        who = f"process {owner.pid} on port {owner.port}" if owner else "another process"
        super().__init__(
            f"{root} is in use: {who} runs a local cloud on it. "
            "Stop it with `tidemill down`, or choose another directory with --state."
        )
        self.owner = owner


class StateDirectoryUnusableError(LocalCloudError):
    """The state directory cannot be created or written."""

    def __init__(self, root: Path, reason: str) -> None:
        super().__init__(
            f"{root} cannot hold the local cloud's state ({reason}). "
            "Choose another directory with --state."
        )


class StateDirectoryForeignError(LocalCloudError):
    """The directory holds something else."""

    def __init__(self, root: Path) -> None:
        super().__init__(
            f"{root} holds files that are no local cloud's, and they would get mixed with its "
            "state. Choose a new or empty directory with --state."
        )


@dataclass(frozen=True)
class Owner:
    """The engine process that owns a state directory."""

    pid: int
    started: str
    port: int
    since: float

    @property
    def endpoint(self) -> str:
        """The URL that AWS clients are pointed at."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def identity(self) -> ProcessIdentity:
        """Who it is beyond a process id, which the system gives out again."""
        return ProcessIdentity(self.pid, self.started)


class StateDirectory:
    """
    Paths below one root, and the lock that keeps a second engine out.

    The lock is the kernel's (`flock`), so a killed owner frees it; the file's content only says
    who holds it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.log = self.root / "local.log"
        self.temporary = self.root / "tmp"
        self.services = self.root / "services"
        self.objects = self.root / "objects"
        self.records = self.root / "records.sqlite"
        self.functions = self.root / "functions"
        self.sagemaker = self.root / "sagemaker"
        self.children = self.root / "children.json"
        self._lock = self.root / "lock.json"
        self._port = self.root / "port"

    @classmethod
    def locate(cls, explicit: Path | str | None = None) -> "StateDirectory":
        """Return the directory asked for, else `$TIDEMILL_STATE`, else `.tidemill` here."""
        return cls(Path(explicit or os.environ.get(VARIABLE) or DEFAULT))

    def create(self) -> None:
        """
        Make the directory tree, readable by its owner only.

        Raises:
            StateDirectoryForeignError: It has content that is not ours; nothing was touched.
            StateDirectoryUnusableError: It cannot be made or written.
        """
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._refuse_foreign()
            (self.root / "README").write_text(_MARKER)  # first: it says whose the rest is
            for folder in (self.temporary, self.services, self.objects, self.functions):
                folder.mkdir(mode=0o700, exist_ok=True)
            ignore = self.root / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n")
        except OSError as error:
            raise StateDirectoryUnusableError(self.root, error.strerror or str(error)) from error

    def _refuse_foreign(self) -> None:
        """Refuse a directory with content that is not ours."""
        # Whoever starts the engine may have opened its log already.
        held = {item.name for item in self.root.iterdir()} - {self.log.name}
        readme = self.root / "README"
        said = readme.read_text(errors="replace") if readme.is_file() else None
        begun = held == {"README"} and said is not None and _MARKER.startswith(said)
        if held and said != _MARKER and not begun:
            raise StateDirectoryForeignError(self.root)

    def port(self) -> int | None:
        """Return the port that this state was made on, or None when it is new."""
        try:
            return int(self._port.read_text())
        except (OSError, ValueError):
            return None

    def remember(self, port: int) -> None:
        """Keep the port: what is deployed holds it in queue URLs."""
        self._port.write_text(str(port))

    @contextmanager
    def owned(self, port: int, *, patience: float = 2.0) -> Iterator[Owner]:
        """
        Own the directory while the block runs.

        Args:
            port: Where the engine will listen; told to those who find the directory taken.
            patience: Seconds to wait for a lock that is only being looked at.

        Raises:
            StateDirectoryInUseError: A live process owns it.
        """
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            deadline = time.monotonic() + patience
            while not _try_lock(descriptor, fcntl.LOCK_EX):
                if time.monotonic() > deadline:
                    raise StateDirectoryInUseError(self.root, self._read_owner())
                time.sleep(0.05)
            me = ProcessIdentity.of(os.getpid())
            owner = Owner(me.pid, me.started, port, time.time())
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(asdict(owner)).encode(), 0)
            yield owner
        finally:
            os.close(descriptor)

    def owner(self) -> Owner | None:
        """Return who owns the directory now, or None when nobody does."""
        try:
            descriptor = os.open(self._lock, os.O_RDONLY)
        except OSError:
            return None
        try:
            free = _try_lock(descriptor, fcntl.LOCK_SH)
        finally:
            os.close(descriptor)
        return None if free else self._read_owner()

    def last_owner(self) -> Owner | None:
        """Return who owned the directory last, alive or not."""
        return self._read_owner()

    def _read_owner(self) -> Owner | None:
        try:
            return Owner(**json.loads(self._lock.read_text()))
        except (OSError, ValueError, TypeError):
            return None  # never owned, or the owner is just writing it


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
