"""
Compile the jobs' kernel for every machine that runs it: `build_kernel.py [TARGET]…`.

Run by an environment that has ziglang (requirements/zig.lock): one compiler, from PyPI, that builds
for Lambda, for the jobs image and for this machine alike. What it makes lies beside the source,
under the name that `tidemill_jobs.kernel` looks for.
"""

import argparse
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

COMPILER = (sys.executable, "-m", "ziglang", "cc")
SOURCE = Path(__file__).parent / "tidemill_jobs" / "kernel"
#: Exactly rounded and in the order as written, so that all machines find the same numbers.
FLAGS = ("-std=c17", "-O3", "-ffp-contract=off", "-fno-sanitize=all", "-Wall", "-Wextra", "-Werror")
ELF = ("-shared", "-fPIC", "-fvisibility=hidden", "-nostdlib", "-ffreestanding", "-s")
MACH = ("-shared", "-fvisibility=hidden")
#: For each name: the compiler's options. Processors of Intel and AMD come with and without AVX2.
TARGETS = {
    "linux-aarch64.so": ("-target", "aarch64-linux-gnu.2.17", *ELF),
    "linux-x86_64.so": ("-target", "x86_64-linux-gnu.2.17", "-mcpu=x86_64_v2", *ELF),
    "linux-x86_64-avx2.so": ("-target", "x86_64-linux-gnu.2.17", "-mcpu=x86_64_v3", *ELF),
    "darwin-aarch64.so": ("-target", "aarch64-macos", *MACH),
    "darwin-x86_64.so": ("-target", "x86_64-macos", "-mcpu=x86_64_v2", *MACH),
}


def main() -> None:
    """Compile for Linux, which Lambda and images are, and for this machine."""
    parser = argparse.ArgumentParser(description="Compile the kernel of the jobs' profile")
    parser.add_argument("target", nargs="*", choices=[*TARGETS, []], help="default: what is needed")
    parser.add_argument("--check", action="store_true", help="compile for all, and keep nothing")
    chosen = parser.parse_args()
    own = f"{platform.system().lower()}-"
    needed = [name for name in TARGETS if name.startswith(("linux-", own))]
    for name in chosen.target or (TARGETS if chosen.check else needed):
        (check if chosen.check else build)(name)


def check(name: str) -> None:
    """Compile for a target, and keep nothing."""
    with tempfile.TemporaryDirectory() as folder:
        for source in sorted(SOURCE.glob("*.c")):
            made = ("-c", str(source), "-o", str(Path(folder, "made.o")))
            subprocess.run([*COMPILER, *TARGETS[name][:2], *FLAGS, *made], check=True)


def build(name: str) -> None:
    """Compile all of the kernel into one library; an unfinished one takes no one's place."""
    part = SOURCE / f"{name}.part"
    sources = map(str, sorted(SOURCE.glob("*.c")))
    command = [*COMPILER, *TARGETS[name], *FLAGS, "-o", str(part)]
    subprocess.run([*command, *sources], check=True)
    part.rename(SOURCE / name)


if __name__ == "__main__":
    main()
