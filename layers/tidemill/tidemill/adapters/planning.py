"""What a look at an endpoint's traffic has to read, and which windows it concludes."""

from dataclasses import asdict, dataclass

from tidemill.adapters.baselines import baseline_of
from tidemill.adapters.lake import Lake
from tidemill.adapters.looking import Look
from tidemill.adapters.registry import Registry
from tidemill.adapters.schedules import watch_schedule
from tidemill.adapters.stores import Stores
from tidemill.adapters.traffic import Traffic, plans_prefix
from tidemill.contracts.watch import WatchRef
from tidemill.domain.check import plan
from tidemill.domain.size import text_bytes
from tidemill.domain.watch import counted, reach, uncovered, window_of, window_seconds
from tidemill.errors import NotFoundError
from tidemill.names import aws_name
from tidemill.spec.compiled import Spec


@dataclass(frozen=True, slots=True)
class Part:
    """What is read in one go: the plan's URI, and whether a Lambda is enough."""

    uri: str
    small: bool
    largest_bytes: int


@dataclass(frozen=True, slots=True)
class Planned:
    """A look's plan in S3, and its parts; without new files there are none."""

    spec: Spec
    uri: str
    parts: tuple[Part, ...]


class Planning:
    """Safe to repeat: a plan says what there is to read when it is made; nothing rests on it."""

    def __init__(
        self,
        stores: Stores,
        lake: Lake,
        registry: Registry,
        *,
        stack: str,
        bucket: str,
        variant: str,
    ) -> None:
        self._stores = stores
        self._lake = lake
        self._registry = registry
        self._traffic = Traffic(lake, bucket)
        self._stack = stack
        self._bucket = bucket
        self._variant = variant

    def plan(self, request: WatchRef, now: float) -> Planned:
        """
        Write a look's plan and the plans of its parts.

        Raises:
            NotFoundError: The model has no spec any more, or no version in service.
        """
        ref, spec = request.ref, self._stores.specs.get(request.ref)
        champion = self._stores.champions.find(ref)
        if champion is None:
            raise NotFoundError(f"no version of {ref} is in service any more")
        package = self._registry.describe(champion["package"])
        every = window_seconds(spec.watch.every_seconds)
        begin, end = reach(
            every,
            spec.watch.drift,
            watermark=self._stores.watches.read(ref).watermark,
            since=champion["since"],
            now=now,
            asked=request.asked,
        )
        baseline = baseline_of(package)
        look = Look(
            endpoint=aws_name(self._stack, request.project, request.model),
            schedule=watch_schedule(self._stack, request.project, request.model),
            version=champion["version"],
            since=champion["since"],
            every=every,
            begin=begin,
            end=end,
            watermark=window_of(now, every),
            baseline=baseline.profile if baseline else None,
        )
        model = package["InferenceSpecification"]["Containers"][0]["ModelDataUrl"]
        parts = self._parts(request, spec, look, model)
        uri = f"{plans_prefix(self._bucket, ref, request.watch)}/watch.json"
        self._lake.put_json(uri, asdict(look))
        return Planned(spec, uri, parts)

    def _parts(self, request: WatchRef, spec: Spec, look: Look, model: str) -> tuple[Part, ...]:
        """Write a plan for each part of what was captured since the version came, and not read."""
        captured = self._traffic.captured(
            request.ref,
            look.endpoint,
            self._variant,
            max(look.earliest, look.since),
            look.end,
        )
        if not captured:
            return ()
        known = self._traffic.partials(
            request.ref, look.earliest, version=look.version, every=look.every
        )
        partials = [one.partial for one in known]
        left = uncovered(captured, partials)
        ids = {start: [one.id for one in some] for start, some in counted(partials).items()}
        parts = []
        for number, part in enumerate(plan(left)):
            uri = self._traffic.write_plan(
                spec, request.watch, number,
                version=look.version, model=model, objects=part.objects, counted=ids,
            )  # fmt: skip
            largest = max(text_bytes(item.key, item.size) for item in part.objects)
            parts.append(Part(uri, part.small, largest))
        return tuple(parts)
