import pytest

from ..cloud import READS, Killed
from .traffic import DRIFT, serve


@pytest.fixture
def watched(cloud, make_spec):
    """Return a cloud with an endpoint in service since the full hour, and a watch each hour."""
    cloud.apply(make_spec(watch={"every_seconds": 3600, "drift": DRIFT}))
    serve(cloud)
    return cloud


@pytest.fixture
def survives(make_cloud):
    """
    Return a check that a function may die before any of its calls.

    A clean run is compared with runs that are killed before their n-th call and then repeated:
    what is kept must be equal, and every message and event of the clean run must have gone out.
    After a call that only read all is as it was before it, so those points are passed over.
    """

    def check(
        name,
        prepare,
        *,
        again=lambda event: event,
        apart=("fence", "uploaded"),
        same_answer=True,
    ):
        def told(cloud):
            return {
                repr(request)
                for service, operation, request in cloud.calls
                if operation in ("PutEvents", "SendMessage")
            }

        with make_cloud(memory=True) as cloud:
            event = prepare(cloud)
            answer = cloud.invoke(name, event)
            wrote = [not operation.startswith(READS) for _, operation, _ in cloud.calls]
            said, kept = told(cloud), cloud.facts(apart=apart)
        for n in (n for n in range(len(wrote)) if n == 0 or wrote[n - 1]):
            with make_cloud(memory=True) as cloud:
                event = prepare(cloud)
                with pytest.raises(Killed):
                    cloud.invoke(name, event, kill_before=n)
                before = told(cloud)
                repeated = cloud.invoke(name, again(event))
                assert cloud.facts(apart=apart) == kept, f"killed before call {n}"
                assert said <= before | told(cloud), f"killed before call {n}: not told"
                assert repeated == answer or not same_answer
        assert wrote

    return check
