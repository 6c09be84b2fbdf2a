"""
Runs our programs in a Python that is not ours: `<python> …/containers/launch.py IMAGE train|serve`.

That Python has the user's libraries and not this package, and should not see what is installed
beside it; so only this folder is made importable, under its name.
"""

import importlib
import sys
import types
from pathlib import Path

_HERE = Path(__file__).parent


def main() -> None:
    """Make the folder importable and run it."""
    if sys.version_info < (3, 10):  # noqa: UP036  # of the user's Python, not ours
        sys.exit(f"{sys.executable} is too old for scripts; name a Python of 3.10 or newer")
    sys.path[:] = [entry for entry in sys.path if entry not in ("", str(_HERE))]
    package = types.ModuleType("tidemill_local")
    package.__path__ = [str(_HERE.parent)]
    sys.modules["tidemill_local"] = package
    importlib.import_module("tidemill_local.containers.__main__").main()


if __name__ == "__main__":
    main()
