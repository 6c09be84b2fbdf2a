"""A range of an exact object version is answered as such: ministack sends the whole version."""

from typing import Any

from ministack.services import s3

from tidemill_local.engine.hooks import expect
from tidemill_local.engine.surroundings import Surroundings

Answer = tuple[int, dict[str, Any], Any]

_OK, _PARTIAL, _UNSATISFIABLE = 200, 206, 416
_original = s3._get_object


def check() -> None:
    """Require the reader of objects, and what it uses to answer a range of the newest version."""
    expect(s3, "_get_object", "(bucket_name, key, headers, query_params=None)")
    expect(s3, "_parse_range", "(range_header, total)")
    expect(s3, "_range_error_xml", "(bucket_name, key)")
    expect(s3, "_xml_body", "(root)")


def apply(surroundings: Surroundings) -> None:  # noqa: ARG001  # every hook takes them
    """Cut what GetObject answers to the range that was asked for."""
    s3._get_object = get_object


def get_object(
    bucket_name: str,
    key: str,
    headers: dict[str, str],
    query_params: dict[str, Any] | None = None,
) -> Answer:
    """Answer as S3 does: 206 and the bytes asked for, or 416 when there are none."""
    status, answered, body = _original(bucket_name, key, headers, query_params)
    asked = headers.get("range", "")
    if status != _OK or not asked or not (query_params or {}).get("versionId"):
        return status, answered, body
    total = len(body)
    found = s3._parse_range(asked, total)
    if found is None:
        refused = {"Content-Type": "application/xml", "Content-Range": f"bytes */{total}"}
        return _UNSATISFIABLE, refused, s3._xml_body(s3._range_error_xml(bucket_name, key))
    start, end = found
    part = body[start : end + 1]
    # A checksum of the whole cannot be one of a part; clients would refuse the part.
    kept = {
        name: value
        for name, value in answered.items()
        if not name.lower().startswith("x-amz-checksum-")
    }
    kept["Content-Length"] = str(len(part))
    kept["Content-Range"] = f"bytes {start}-{end}/{total}"
    return _PARTIAL, kept, part
