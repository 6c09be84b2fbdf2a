import contextvars
import threading

from tidemill_local.engine.lifeline import Lifeline, current, hanging_on_current


def test_cutting_wakes_those_who_wait():
    lifeline, waiting = Lifeline(), threading.Event()

    with lifeline.wakes(waiting):
        lifeline.cut()

    assert waiting.is_set()


def test_who_comes_late_is_woken_at_once_and_who_has_left_is_not():
    lifeline, left, late = Lifeline(), threading.Event(), threading.Event()
    with lifeline.wakes(left):
        pass

    lifeline.cut()
    with lifeline.wakes(late):
        assert late.is_set()

    assert not left.is_set()


def test_what_hangs_on_a_lifeline_is_cut_with_it():
    with hanging_on_current() as outer:
        with hanging_on_current() as inner:
            assert current() is inner
            outer.cut()
            assert inner.is_cut
        assert current() is outer


def test_a_cut_inside_does_not_reach_outside():
    with hanging_on_current() as outer:
        with hanging_on_current() as inner:
            inner.cut()

        assert not outer.is_cut


def test_threads_take_the_lifeline_along_in_their_context():
    seen = []
    with hanging_on_current() as lifeline:
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(lambda: seen.append(current()),))
        thread.start()
        thread.join()

    assert seen == [lifeline]
