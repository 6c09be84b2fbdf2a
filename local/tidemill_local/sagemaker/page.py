"""
docs/local-sagemaker.md, written from what the service offers.

    python -m tidemill_local.sagemaker.page > docs/local-sagemaker.md
"""

import sys
from collections.abc import Iterator

from tidemill_local.sagemaker import operations, protocol
from tidemill_local.sagemaker.operations import Offer
from tidemill_local.sagemaker.service import load_operations

_HEAD = """# The local SageMaker

What the SageMaker of the local cloud does of each operation of botocore's service model, as pinned.
Requests are held to the model's rules, answers have its shapes:
`tests/integration/sagemaker/test_contract.py` asks every operation what the model allows. How jobs
and endpoints run is in [local-cloud.md](local-cloud.md).

This page is written by `python -m tidemill_local.sagemaker.page`, and a test compares.

*Works*: as on AWS, as far as we know. *Partly*: what differs is said. **Refused** members are
answered with a ValidationException that names them; **idle** ones are kept and described, and do
nothing here.
"""

_RUNTIME = """
## The runtime

* **InvokeEndpoint**: TargetVariant, TargetModel, InferenceComponentName, inference id, custom
  attributes, bodies up to 6 MB; target containers are refused
* **InvokeEndpointAsync**: input in S3 or inline, S3OutputPathExtension, Filename,
  RequestTTLSeconds, InvocationTimeoutSeconds; answers and failures in S3, topics told;
  IncludeInferenceResponseIn is refused, backlog metrics are not put
* **InvokeEndpointWithResponseStream**: the answer comes in parts of 64 KB once the container has
  given all of it

## The Feature Store's runtime

* **PutRecord**, **GetRecord**, **DeleteRecord** (SoftDelete and HardDelete), **BatchGetRecord**:
  by event time, with TtlDuration and TargetStores. Offline, every record lies within seconds as
  Parquet in SageMaker's layout, without a Glue table
* **BatchWriteRecord**, **ListRecords** and **UpdateRecord** are refused

## The metrics service

* **BatchPutMetrics**: values become a trial component's metrics (count, average, deviation, least,
  most, last), as the SDK's `Run.log_metric` puts them; single values are not kept, so
  **BatchGetMetrics** is refused
"""


def page() -> str:
    """Return the page's Markdown."""
    load_operations()
    offers = operations.offers()
    refused = [name for name in protocol.operation_names() if name not in offers]
    lines = [
        _HEAD,
        f"## Supported: {len(offers)} of {len(offers) + len(refused)}",
        "",
        "| Operation | | What differs |",
        "| --- | --- | --- |",
        *(f"| {name} | {_state(offer)} | {_differs(offer)} |" for name, offer in offers.items()),
        _RUNTIME,
        f"## Refused: {len(refused)}",
        "",
        "Each is answered with a ValidationException that names it.",
        "",
        *_by_verb(refused),
    ]
    return "\n".join(lines) + "\n"


def _state(offer: Offer) -> str:
    return "partly" if offer.refused or offer.idle or offer.differs else "works"


def _differs(offer: Offer) -> str:
    said = [offer.differs] if offer.differs else []
    said += [f"**refused**: {', '.join(offer.refused)}"] if offer.refused else []
    said += [f"**idle**: {', '.join(offer.idle)}"] if offer.idle else []
    return "; ".join(said)


def _by_verb(names: list[str]) -> Iterator[str]:
    """Yield a line for each verb, such as Create, with what it is refused for."""
    by_verb: dict[str, list[str]] = {}
    for name in names:
        verb = next((v for v in _VERBS if name.startswith(v)), "")
        by_verb.setdefault(verb, []).append(name.removeprefix(verb))
    for verb in (*_VERBS, ""):
        if verb in by_verb:
            head = f"**{verb}** …" if verb else "Others:"
            yield f"* {head} {', '.join(sorted(by_verb[verb]))}"


_VERBS = ("Create", "Describe", "List", "Update", "Delete", "Start", "Stop")


if __name__ == "__main__":
    sys.stdout.write(page())
