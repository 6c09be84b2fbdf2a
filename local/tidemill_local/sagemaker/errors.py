"""The errors a client sees: SageMaker's own codes, and messages that say what to do next."""


class ServiceError(Exception):
    """
    What a client receives instead of an answer.

    Args:
        code: SageMaker's name for it, such as `ValidationException`; boto3 raises under this name.
        message: What happened, in a sentence or two.
        status: The HTTP status; SageMaker answers 400 to everything a caller can correct.
    """

    def __init__(self, code: str, message: str, *, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


class ValidationError(ServiceError):
    """The request breaks a rule; so does naming a thing that SageMaker reports missing this way."""

    def __init__(self, message: str) -> None:
        super().__init__("ValidationException", message)


class ResourceInUseError(ServiceError):
    """The name is taken."""

    def __init__(self, message: str) -> None:
        super().__init__("ResourceInUse", message)


class ResourceNotFoundError(ServiceError):
    """The thing does not exist, for the operations that say so with this code."""

    def __init__(self, message: str) -> None:
        super().__init__("ResourceNotFound", message)


class ResourceLimitExceededError(ServiceError):
    """A quota is used up; retrying later may work."""

    def __init__(self, message: str) -> None:
        super().__init__("ResourceLimitExceeded", message)


class ConflictError(ServiceError):
    """Someone else's change came between, or the thing still has dependants."""

    def __init__(self, message: str) -> None:
        super().__init__("ConflictException", message)
