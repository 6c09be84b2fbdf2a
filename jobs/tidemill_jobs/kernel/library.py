"""Load what was compiled for this machine."""

import ctypes
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

#: What each function returns and takes, by name.
Functions = Mapping[str, tuple[Any, tuple[Any, ...]]]

_MACHINES: Final = {"arm64": "aarch64", "amd64": "x86_64"}


def load(functions: Functions, name: str = "") -> Any:
    """
    Return the library of this name with these functions; without one, that of this machine.

    Raises:
        ImportError: There is none, or it is older than its source.
    """
    path = Path(__file__).with_name(name or own_name())
    try:
        library = ctypes.CDLL(str(path))
        for called, (result, arguments) in functions.items():
            function = getattr(library, called)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError) as exc:  # it lacks a function
        raise ImportError(
            f"the profile's compiled part cannot be loaded ({exc}); `make kernel` compiles it"
        ) from exc
    return library


def own_name() -> str:
    """Return the library that this machine can run."""
    machine = platform.machine().lower()
    machine = _MACHINES.get(machine, machine)
    if machine == "x86_64" and platform.system() == "Linux" and _has_avx2():
        machine += "-avx2"
    return f"{platform.system().lower()}-{machine}.so"


def _has_avx2() -> bool:
    flags = Path("/proc/cpuinfo")
    return flags.exists() and {"avx2", "bmi2", "fma", "movbe"} <= set(flags.read_text().split())
