"""Uploads, deliveries and their checks, and what people answer to them."""

from dataclasses import dataclass
from typing import Any, Self

from tidemill.contracts.models import Failure, ModelRef
from tidemill.errors import InvalidInputError
from tidemill.shape import Contract


@dataclass(frozen=True, slots=True)
class ObjectCreated(Contract):
    """
    The detail of S3's event `Object Created`, flattened; the key as it is in the bucket.

    *etag*, *size* (bytes) and *at* (ISO 8601) are what the event says of the object, if it does.
    """

    bucket: str
    key: str
    version_id: str
    sequencer: str
    etag: str = ""
    size: int | None = None
    at: str = ""

    @property
    def identity(self) -> tuple[str, str, str]:
        """Bucket, key and version id: what makes two events speak of the same version."""
        return self.bucket, self.key, self.version_id

    @classmethod
    def of_event(cls, event: Any) -> Self:
        """
        Read an EventBridge event of S3, or a sweep's message in the same shape.

        Raises:
            InvalidInputError: It is neither.
        """
        try:
            detail = event["detail"]
            held = detail["object"]
            document = {
                "bucket": detail["bucket"]["name"],
                "key": held["key"],
                "version_id": held.get("version-id") or "null",
                "sequencer": held.get("sequencer") or "",
                "etag": (held.get("etag") or "").strip('"'),
                "size": held.get("size"),
                "at": event.get("time") or "",
            }
        except (KeyError, TypeError, AttributeError) as error:
            raise InvalidInputError(f"not an S3 Object Created event: {error!r}") from error
        return cls.parse(document)

    def to_event(self) -> dict[str, Any]:
        """Return the event that S3 would have sent, as far as `of_event` reads it."""
        held = {
            "key": self.key,
            "version-id": self.version_id,
            "sequencer": self.sequencer,
            "etag": self.etag,
            "size": self.size,
        }
        return {"time": self.at, "detail": {"bucket": {"name": self.bucket}, "object": held}}


@dataclass(frozen=True, slots=True)
class CloseDelivery(ModelRef):
    """A message of the delivery queue; one that comes only *once* does not send itself again."""

    delivery: str
    once: bool = False


@dataclass(frozen=True, slots=True)
class CheckRef(ModelRef):
    """Input of the check machine, and of its functions; attempts count from 1."""

    delivery: str
    attempt: int


@dataclass(frozen=True, slots=True)
class CheckUploads(Contract):
    """Input of `functions/check_uploads`: the plan's URI."""

    plan: str


@dataclass(frozen=True, slots=True)
class ExplainUpload(ModelRef):
    """
    Input of `functions/explain_upload`: a quarantined object version and what it was judged by.

    *facts* and *contract* are URIs; a model without a good delivery has no contract. *reason* is
    the verdict's sentence.
    """

    bucket: str
    key: str
    version_id: str
    facts: str
    reason: str
    contract: str = ""


@dataclass(frozen=True, slots=True)
class CloseCheck(CheckRef):
    """Input of `functions/close_check`."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class ReleaseUpload(ModelRef):
    """
    Input of `functions/release_upload`: a person wants an upload used that is set aside.

    Without *version_id* it is the newest version of *key*.
    """

    key: str
    why: str
    version_id: str = ""
    by: str = "person"


@dataclass(frozen=True, slots=True)
class AcceptContract(ReleaseUpload):
    """
    Input of `functions/accept_contract`: a person wants an upload to be the contract.

    *after* is where the answer before it ended (its `next`): the work goes on there.
    """

    after: str = ""


@dataclass(frozen=True, slots=True)
class RequestCheck(ModelRef):
    """Input of `functions/request_check`: a person wants a check that failed to be tried again."""

    delivery: str
    why: str
    id: str = ""  # the same for every attempt of one request
