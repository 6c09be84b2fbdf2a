"""What the hooks work with: the state directory, the records, and when to do what."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from tidemill_local.engine.function_files import FunctionFiles
from tidemill_local.engine.records import Records
from tidemill_local.state_directory import StateDirectory

Application = Callable[[dict[str, Any], Any, Any], Awaitable[None]]
"""An ASGI application: (scope, receive, send)."""


@dataclass
class Surroundings:
    """
    One engine's own things; hooks register here what must run at its turning points.

    Attributes:
        state: The state directory.
        port: Where the engine listens, on 127.0.0.1.
        records: What is written fact by fact.
        files: Function code, layers and runtime on disk.
        application: What answers requests; hooks wrap it, the last applied answers first.
        changed: Tells the snapshots that ministack's state changed outside a request.
        on_restored: Called once ministack's state is loaded, before the port answers.
        on_ready: Called once requests are answered, in order, off the event loop.
        on_stop: Called when the engine stops, last registered first.
        every_second: Called about once a second while the engine runs.
        make_service: Makes the local SageMaker; None is the real one, tests pass a fake.
    """

    state: StateDirectory
    port: int
    records: Records
    files: FunctionFiles
    application: Application
    changed: Callable[[], None] = lambda: None
    on_restored: list[Callable[[], None]] = field(default_factory=list)
    on_ready: list[Callable[[], None]] = field(default_factory=list)
    on_stop: list[Callable[[], None]] = field(default_factory=list)
    every_second: list[Callable[[], None]] = field(default_factory=list)
    make_service: Callable[..., Any] | None = None

    @property
    def endpoint(self) -> str:
        """The URL that clients, functions and jobs are given."""
        return f"http://127.0.0.1:{self.port}"
