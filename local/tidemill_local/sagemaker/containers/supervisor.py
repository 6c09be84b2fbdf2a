"""
Stands between the service and one container's process, so that nothing outlives either.

Started as a script of its own by `container.py`; imports nothing of ours, so that it is there in
some 20 ms. The service holds the write end of this process's standard input: when the service
dies, even of kill -9, the pipe closes and the container's processes are killed. When the main
process ends, whatever it left behind is killed too, as a container's end would.

SIGTERM is passed on to the main process alone, as `docker stop` does. The exit status is the main
process's own; if a signal killed it, this process dies of the same signal.

Where the kernel allows (Linux), the container sees its own files at /opt/ml and its own /etc/hosts:
both are laid over the machine's in a mount namespace that nobody else sees.
"""

import contextlib
import ctypes
import os
import resource
import select
import signal
import subprocess
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_CANNOT_START = 127  # as a shell says it
_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000  # linux/sched.h
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 0x40000  # linux/mount.h


def main() -> None:
    """
    Run the command in argv.

    Before it come its data memory in bytes, 0 for no limit, and the directory that holds what is
    laid over the machine's files, empty for none.
    """
    memory, overlay, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C at the terminal is for the service
    adopt_orphans()
    child_ended, notify = os.pipe()
    os.set_blocking(notify, False)
    signal.set_wakeup_fd(notify)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    # Heard before there is a child: one that came just now would else end us, and leave it alone.
    early: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: early.append(number))
    supervisor = os.getpid()
    try:
        if overlay:
            lay_over(Path(overlay))
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=lambda: confine(memory, supervisor),  # noqa: PLW1509 - one thread here
        )
    except OSError as error:
        sys.stderr.write(f"cannot start {command[0]}: {error}\n")
        sys.exit(_CANNOT_START)
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    if early:
        child.terminate()
    while child.poll() is None:
        readable, _, _ = select.select([sys.stdin.fileno(), child_ended], [], [])
        if child_ended in readable:
            os.read(child_ended, 4096)
        elif not os.read(sys.stdin.fileno(), 4096):
            break  # the service is gone, or asked for the end
    kill_all(child)
    end_like(child.wait())


def confine(memory: int, supervisor: int) -> None:
    """In the new process: give SIGINT back, die with the supervisor, keep the memory limit."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != supervisor:  # it died before the kernel knew what we want then
        os.kill(os.getpid(), signal.SIGKILL)
    if memory:
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))


def adopt_orphans() -> None:
    """Processes whose parents died become ours (Linux), so that none can escape by forking."""
    prctl(_PR_SET_CHILD_SUBREAPER, 1)


def prctl(option: int, value: int) -> None:
    """Ask Linux for a favour; elsewhere the closing pipe and the group must do."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def lay_over(directory: Path) -> None:
    """
    Show *directory*/opt at /opt, with what else the machine has there, and its etc/hosts.

    Only this process and its children see it. Root needs no more than a mount namespace; everyone
    else gets a user namespace too, in which they keep their own ids.

    Raises:
        OSError: The kernel does not let us.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    if user != 0 or libc.unshare(_CLONE_NEWNS) != 0:
        check(libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNS), "unshare")
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{user} {user} 1"),
            ("gid_map", f"{group} {group} 1"),
        ):
            Path("/proc/self", name).write_text(text)
    mount(libc, None, Path("/"), _MS_REC | _MS_PRIVATE)
    for entry in Path("/opt").iterdir():
        here = directory / "opt" / entry.name
        if entry.name == "ml" or here.is_symlink():
            continue
        if entry.is_symlink():
            here.symlink_to(entry.readlink())
        elif entry.is_dir():
            here.mkdir(exist_ok=True)  # it is there when a container starts again
            mount(libc, entry, here, _MS_BIND | _MS_REC)
        else:
            here.touch()
            mount(libc, entry, here, _MS_BIND)
    mount(libc, directory / "opt", Path("/opt"), _MS_BIND | _MS_REC)
    hosts = directory / "etc" / "hosts"
    if hosts.exists():
        mount(libc, hosts, Path("/etc/hosts"), _MS_BIND)


def mount(libc: ctypes.CDLL, source: Path | None, target: Path, flags: int) -> None:
    """Change what this process sees at *target*."""
    words = [None if path is None else os.fsencode(path) for path in (source, target)]
    check(libc.mount(*words, None, ctypes.c_ulong(flags), None), f"mount {target}")


def check(result: int, what: str) -> None:
    """Raise what errno says if a system call failed."""
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def kill_all(child: "subprocess.Popen[bytes]") -> None:
    """Kill the container's process group, then every descendant that left it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: EPERM of zombies
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    while orphans := children():  # the children of those that die become ours, and come next
        for pid in orphans:
            os.kill(pid, signal.SIGKILL)
        for pid in orphans:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def children() -> list[int]:
    """Return the process ids of this process's children; none where /proc does not say."""
    pid = os.getpid()
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def end_like(status: int) -> None:
    """Exit with the child's status, or die of the signal that killed it."""
    if status >= 0:
        sys.exit(status)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the child's own core dump is enough
    if -status not in {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)


if __name__ == "__main__":
    main()
