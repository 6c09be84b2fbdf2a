"""What the runtime answers instead of a model's answer."""

from http import HTTPStatus

from tidemill_local.sagemaker.errors import ServiceError
from tidemill_local.sagemaker.hosting.fleets import Variant


class InvocationError(ServiceError):
    """The request is refused before a container sees it; the runtime calls it ValidationError."""

    def __init__(self, message: str) -> None:
        super().__init__("ValidationError", message)


class ThrottledError(ServiceError):
    """A serverless endpoint answers as many requests at a time as it may."""

    def __init__(self, endpoint: str, variant: Variant) -> None:
        super().__init__(
            "ThrottlingException",
            f"The serverless endpoint {endpoint} has {variant.concurrency} requests under way, its "
            "maximum concurrency; try again in a moment.",
            status=HTTPStatus.TOO_MANY_REQUESTS,
        )


class UnavailableError(ServiceError):
    """The endpoint is in service and its container is not; clients ask again by themselves."""

    def __init__(self, message: str) -> None:
        super().__init__("ServiceUnavailable", message, status=503)


class ModelError(Exception):
    """The container of a variant answered with an error, or not in time (status 0)."""

    def __init__(self, variant: Variant, status: int, message: str) -> None:
        super().__init__(message)
        self.variant = variant.name
        self.log_group = variant.workload.log_group
        self.status = status
        self.message = message
