"""Between bytes and arrays, as the `sagemaker-inference` toolkit; numpy when it is needed."""

import io
import json
from typing import Any

JSON, CSV, NPY, NPZ = "application/json", "text/csv", "application/x-npy", "application/x-npz"
_TEXT = (JSON, CSV)


class UnsupportedFormatError(Exception):
    """Neither the script nor the toolkit can read or write this content type."""

    def __init__(self, content_type: str | None) -> None:
        super().__init__(
            f"Content type {content_type} is not supported by this framework.\n\n"
            "Please implement input_fn to deserialize the request data or an output_fn to "
            "serialize the response."
        )


def is_text(content_type: str | None) -> bool:
    """Whether a script gets a body of this type as text."""
    return _plain(content_type) in _TEXT


def decode(body: str | bytes, content_type: str | None) -> Any:
    """
    Return a request's body as an array (a sparse matrix if it is npz).

    Raises:
        UnsupportedFormatError: It is none of JSON, CSV, npy, npz.
    """
    import numpy as np  # noqa: PLC0415

    kind = _plain(content_type)
    if kind == JSON:
        return np.array(json.loads(body))
    if kind == CSV:
        text = body.decode() if isinstance(body, bytes) else body
        # Integers if all are: a hole among them reads as -1 then, on AWS too.
        return np.genfromtxt(io.StringIO(text), dtype=None, delimiter=",")
    raw = io.BytesIO(body if isinstance(body, bytes) else body.encode())
    if kind == NPY:
        # An array of objects is a pickle, which could run anything; the toolkit lets it.
        return np.load(raw, allow_pickle=False)
    if kind == NPZ:
        import scipy.sparse  # noqa: PLC0415

        return scipy.sparse.load_npz(raw)
    raise UnsupportedFormatError(content_type)


def encode(prediction: Any, accept: str) -> tuple[bytes, str]:
    """
    Return an array-like as the first type of an Accept header that we know.

    Raises:
        UnsupportedFormatError: It names none of JSON, CSV, npy.
    """
    for content_type in map(_plain, accept.split(",")):
        if content_type == JSON:
            return json.dumps(prediction, default=_listed).encode(), JSON
        if content_type in (CSV, NPY):
            import numpy as np  # noqa: PLC0415

            sink = io.BytesIO()
            if content_type == NPY:
                np.save(sink, prediction)
            else:
                np.savetxt(sink, prediction, delimiter=",", fmt="%s")
            return sink.getvalue(), content_type
    raise UnsupportedFormatError(accept)


def _plain(content_type: str | None) -> str:
    """Return a type without its parameters, such as a charset."""
    return (content_type or "").partition(";")[0].strip().lower()


def _listed(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")
