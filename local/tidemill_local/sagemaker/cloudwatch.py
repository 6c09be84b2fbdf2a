"""The local CloudWatch's client, made when it is first needed."""

from functools import cached_property
from typing import Any

from tidemill_local.sagemaker import clients
from tidemill_local.sagemaker.context import Context


class CloudWatch:
    """Holds the client; a part of the context."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @cached_property
    def client(self) -> Any:
        """Return the one client of this service."""
        session = clients.session(self._context.account, self._context.region)
        return session.client(
            "cloudwatch", endpoint_url=self._context.endpoint_url, config=clients.CONFIG
        )
