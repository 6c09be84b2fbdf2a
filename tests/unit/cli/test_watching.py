"""Watching ends when nothing is open, tells each change once, and gives up in time."""

from tidemill_cli.standing import Judgement, Open
from tidemill_cli.watching import Screen, watch


class Clock:
    def __init__(self):
        self.now = 1000.0
        self.slept = []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


class Scripted:
    """Something whose open items are these, look by look."""

    ref = "flights/delay"

    def __init__(self, *looks):
        self._looks = list(looks)

    def open(self, now):
        return self._looks.pop(0) if len(self._looks) > 1 else self._looks[0]

    def judgement(self):
        return Judgement(True, "version 1 is in service")


def going(said, kind="run", since=990.0):
    return [Open(kind, "run-1", "running", said, since)]


def follow(watched, *, live=False, quiet=False, timeout=None):
    clock = Clock()
    screen = Screen(live=live, quiet=quiet)
    return watch(watched, screen, timeout=timeout, clock=clock, sleep=clock.sleep), clock


def test_nothing_open_is_judged_at_once():
    verdict, clock = follow(Scripted([]))

    assert verdict.good
    assert clock.slept == []


def test_each_change_is_one_line(capsys):
    follow(Scripted(going("training"), going("training"), going("evaluating"), []))

    lines = capsys.readouterr().err.splitlines()
    assert [line.partition("run-1: ")[2] for line in lines] == [
        "training (10 s)",
        "evaluating (12 s)",
    ]


def test_a_countdown_is_no_change(capsys):
    follow(Scripted(going("closes in 9 s", "delivery"), going("closes in 8 s", "delivery"), []))

    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_terminal_has_one_line_that_is_cleared(capsys):
    follow(Scripted(going("training"), going("training"), []), live=True)

    printed = capsys.readouterr().err
    assert "\n" not in printed
    assert printed.endswith("\r\x1b[K")
    assert "training" in printed


def test_quiet_prints_nothing(capsys):
    follow(Scripted(going("training"), []), quiet=True, live=True)

    assert capsys.readouterr().err == ""


def test_it_gives_up_in_time_and_says_what_is_open():
    verdict, clock = follow(Scripted(going("training")), quiet=True, timeout=2.5)

    assert not verdict.good
    assert verdict.said == "still open after 2.5 s: run-1: training"
    assert clock.now == 1002.5


def test_it_looks_less_often_after_a_while():
    _, clock = follow(Scripted(going("training")), quiet=True, timeout=600)

    assert clock.slept[0] == 1.0
    assert clock.slept[-2] == 5.0
    assert len(clock.slept) < 230
