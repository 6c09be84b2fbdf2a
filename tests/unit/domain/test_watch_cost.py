import pytest

from tidemill.domain.watch_cost import metrics_cost
from tidemill.spec.compiled import Capture, Quality, Watch

FLOOR = Quality("auc", "maximize", 0.7)


@pytest.mark.parametrize(
    ("watch", "features", "metrics", "months"),
    [
        (Watch(), 40, 18, 18),
        (Watch(), 2, 9, 9),
        (Watch(), None, 18, 18),
        (Watch(metrics="all"), 40, 123, 123),
        (Watch(metrics="none"), 40, 3, 3),
        (Watch(quality=FLOOR), 40, 19, 19),
        (Watch(quality=FLOOR, metrics="all"), 40, 140, 140),
        (Watch(quality=FLOOR, metrics="none"), 40, 3, 3),
        (Watch(every_seconds=7_200), 40, 18, 9),
        (Watch(every_seconds=900), 40, 18, 18),
        (Watch(every_seconds=0), 40, 0, 0),
        (Watch(capture=Capture(percent=0)), 40, 0, 0),
    ],
)
def test_metrics_are_counted_by_the_hours_in_which_they_are_sent(watch, features, metrics, months):
    cost = metrics_cost(watch, features)

    assert (cost.metrics, cost.months, cost.each) == (metrics, months, 0)


def test_what_nobody_knows_is_told_for_each_column():
    cost = metrics_cost(Watch(metrics="all"), None)

    assert (cost.metrics, cost.each) == (3, 3)
