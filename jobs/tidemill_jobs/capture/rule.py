"""What an endpoint that writes its own capture was told at its rollout."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from tidemill_jobs.errors import JobError
from tidemill_jobs.spec import How

FLUSH_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Rule:
    """
    Where captured traffic goes, how much of it, and what is left of its columns.

    Args:
        uri: `s3://<lake>/capture/<project>/<model>`.
        endpoint: The endpoint's name.
        variant: The variant's.
        percent: Of the requests that are answered.
        redact: By column; empty writes bodies as they came.
        key_uri: Where the key of the hashes is; empty when nothing is hashed.
        flush_seconds: How long an event may wait.
    """

    uri: str
    endpoint: str
    variant: str
    percent: int
    redact: Mapping[str, How]
    key_uri: str = ""
    flush_seconds: float = FLUSH_SECONDS

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Read the JSON that the rollout left in the environment.

        Raises:
            JobError: It is none; serving on would write what should be redacted.
        """
        try:
            document = json.loads(text)
            rule = cls(**{**document, "redact": dict(document["redact"])})
            hows = set(rule.redact.values())
            has_key = bool(rule.key_uri) or "hash" not in hows
            if hows <= {"hash", "drop"} and has_key and urlsplit(rule.uri).netloc:
                return rule
        except (KeyError, TypeError, ValueError) as exc:
            raise JobError(f"the capture rule is damaged ({exc!r}); roll out again.") from exc
        raise JobError(
            "the capture rule lacks its bucket or its key, or knows another redaction; "
            "roll out again."
        )

    @property
    def prefix(self) -> str:
        """The keys' prefix."""
        return urlsplit(self.uri).path.strip("/")

    def object_uri(self, key: str) -> str:
        """Return the address of a key in the same bucket."""
        return f"s3://{urlsplit(self.uri).netloc}/{key}"
