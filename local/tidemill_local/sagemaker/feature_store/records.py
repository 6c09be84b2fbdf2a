"""The Feature Store's runtime: records are put, got and deleted by their identifier."""

import contextlib
import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import botocore.session
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from tidemill_local.sagemaker import misfortune
from tidemill_local.sagemaker.arns import name_in
from tidemill_local.sagemaker.constraints import broken_constraints
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import ServiceError
from tidemill_local.sagemaker.feature_store.groups import found, record_kind
from tidemill_local.sagemaker.feature_store.offline_store import OfflineStore
from tidemill_local.sagemaker.store import DuplicateRecordError, MissingRecordError

Answer = tuple[int, dict[str, str], bytes]
_PREFIXES = ("/FeatureGroup/", "/BatchGetRecord")
_YEAR_10000 = 253_402_300_800  # in seconds since 1970
_SECONDS = {"Seconds": 1, "Minutes": 60, "Hours": 3600, "Days": 86_400, "Weeks": 604_800}
_INTEGERS = range(-(2**63), 2**63)
_JSON = {"Content-Type": "application/json"}


class RecordError(ServiceError):
    """A request to the runtime that cannot be carried out."""

    def __init__(self, message: str) -> None:
        super().__init__("ValidationError", f"Validation Error: {message}")


def is_ours(path: str) -> bool:
    """Whether a request's path is one of the Feature Store's."""
    return path.startswith(_PREFIXES)


def answer(context: Context, method: str, path: str, body: bytes) -> Answer:
    """
    Answer one request to `sagemaker-featurestore-runtime`.

    Raises:
        ServiceError: ValidationError or ResourceNotFound.
    """
    parts = urlsplit(path)
    query = parse_qs(parts.query)
    asked = _json(body) if method in {"PUT", "POST"} else {}
    if parts.path == "/BatchGetRecord" and method == "POST":
        misfortune.refuse(context, "BatchGetRecord", {})
        _check("BatchGetRecord", asked)
        return _answered(_batch_get(context, asked))
    group = unquote(parts.path.removeprefix("/FeatureGroup/"))
    act = _ACTS.get(method)
    if act is None or "/" in name_in(group):
        raise RecordError(
            f"{method} {parts.path} is not offered by the local SageMaker, which has PutRecord, "
            "GetRecord, DeleteRecord and BatchGetRecord."
        )
    operation, perform = act
    misfortune.refuse(context, operation, {"FeatureGroupName": group})
    if method == "PUT":
        _check(operation, asked | {"FeatureGroupName": group})
    return _answered(perform(context, found(context, group), asked, query))


def _put(
    context: Context, group: dict[str, Any], asked: dict[str, Any], _: Mapping[str, list[str]]
) -> dict[str, Any]:
    """Write a record; online, one with an earlier event time gives way to what is there."""
    values = _checked(group, asked["Record"])
    event = _event_time(values[group["EventTimeFeatureName"]])
    stores = _stores(group, asked.get("TargetStores"))
    row = {"features": values, "event": event, "deleted": False}
    ttl = asked.get("TtlDuration") or group.get("OnlineStoreConfig", {}).get("TtlDuration")
    if ttl is not None:
        row["expires"] = event + _SECONDS.get(ttl["Unit"], 0) * ttl["Value"]
    _write(context, group, str(values[group["RecordIdentifierFeatureName"]]), row, stores)
    return {}


def _delete(
    context: Context, group: dict[str, Any], _: dict[str, Any], query: Mapping[str, list[str]]
) -> dict[str, Any]:
    """Delete a record: its columns become null, or it goes altogether (HardDelete)."""
    identifier, moment = _one(query, "RecordIdentifierValueAsString"), _one(query, "EventTime")
    event = _event_time(moment)
    stores = _stores(group, query.get("TargetStores"))
    key, stamp = group["RecordIdentifierFeatureName"], group["EventTimeFeatureName"]
    text = _is_text(group, stamp)
    features = {key: _typed(group, key, identifier), stamp: moment if text else event}
    row = {"features": features, "event": event, "deleted": True}
    _write(context, group, identifier, row, stores)
    if query.get("DeletionMode") == ["HardDelete"] and "OnlineStore" in stores:
        try:
            context.store.delete(record_kind(group["FeatureGroupName"]), identifier)
        except MissingRecordError:
            return {}
    return {}


def _get(
    context: Context, group: dict[str, Any], _: dict[str, Any], query: Mapping[str, list[str]]
) -> dict[str, Any]:
    """Return the newest record of an identifier; an empty answer when there is none."""
    identifier = _one(query, "RecordIdentifierValueAsString")
    told = query.get("ExpirationTimeResponse") == ["Enabled"]
    return _read(context, group, identifier, query.get("FeatureName"), expiry=told) or {}


def _batch_get(context: Context, asked: dict[str, Any]) -> dict[str, Any]:
    records: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    told = asked.get("ExpirationTimeResponse") == "Enabled"
    for each in asked["Identifiers"]:
        name = each["FeatureGroupName"]
        for identifier in each["RecordIdentifiersValueAsString"]:
            where = {"FeatureGroupName": name, "RecordIdentifierValueAsString": identifier}
            try:
                group = found(context, name)
                record = _read(context, group, identifier, each.get("FeatureNames"), expiry=told)
            except ServiceError as error:
                errors.append(where | {"ErrorCode": error.code, "ErrorMessage": error.message})
                continue
            if record is not None:
                records.append(where | record)
    return {"Records": records, "Errors": errors, "UnprocessedIdentifiers": []}


def _write(
    context: Context, group: dict[str, Any], identifier: str, row: dict[str, Any], stores: set[str]
) -> None:
    if "OnlineStore" in stores:
        kind = record_kind(group["FeatureGroupName"])

        def change(body: dict[str, Any]) -> None:
            if row["event"] >= body["event"]:
                body.pop("expires", None)
                body.update(row)

        try:
            context.store.insert(kind, identifier, row)
        except DuplicateRecordError:
            context.store.edit(kind, identifier, change)
    if "OfflineStore" in stores:
        cells = row["features"] | {
            "api_invocation_time": time.time(),
            "is_deleted": row["deleted"],
        }
        context.part(OfflineStore).add(group, cells, row["event"])


def _read(
    context: Context,
    group: dict[str, Any],
    identifier: str,
    features: list[str] | None,
    *,
    expiry: bool,
) -> dict[str, Any] | None:
    if not group.get("OnlineStoreConfig", {}).get("EnableOnlineStore"):
        raise RecordError(f"FeatureGroup {group['FeatureGroupName']} has no online store.")
    known = [each["FeatureName"] for each in group["FeatureDefinitions"]]
    unknown = sorted(set(features or []) - set(known))
    if unknown:
        raise RecordError(
            f"FeatureGroup {group['FeatureGroupName']} has no feature {', '.join(unknown)}."
        )
    row = context.store.get(record_kind(group["FeatureGroupName"]), identifier)
    if row is None or row["deleted"] or row.get("expires", float("inf")) <= time.time():
        return None
    record = [
        {"FeatureName": name, "ValueAsString": str(row["features"][name])}
        for name in known
        if row["features"].get(name) is not None and name in (features or known)
    ]
    if expiry and "expires" in row:
        moment = datetime.fromtimestamp(row["expires"], UTC)
        return {"Record": record, "ExpiresAt": moment.strftime("%Y-%m-%dT%H:%M:%SZ")}
    return {"Record": record}


def _checked(group: dict[str, Any], record: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a record's values by their features, in the features' types."""
    values: dict[str, Any] = {}
    known = {each["FeatureName"] for each in group["FeatureDefinitions"]}
    for each in record:
        name = each["FeatureName"]
        if name not in known:
            raise RecordError(
                f"FeatureGroup {group['FeatureGroupName']} does not contain feature {name}."
            )
        if name in values:
            raise RecordError(f"Record names the feature {name} more than once.")
        if "ValueAsString" not in each:
            raise RecordError(f"The feature {name} needs ValueAsString.")
        values[name] = _typed(group, name, each["ValueAsString"])
    for field in ("RecordIdentifierFeatureName", "EventTimeFeatureName"):
        if values.get(group[field]) in (None, ""):
            raise RecordError(f"Record lacks the feature {group[field]}, its {field}.")
    return values


def _typed(group: dict[str, Any], name: str, text: str) -> Any:
    kinds = {each["FeatureName"]: each["FeatureType"] for each in group["FeatureDefinitions"]}
    try:
        if kinds[name] == "Integral":
            value: Any = int(text)
        else:
            value = float(text) if kinds[name] == "Fractional" else text
    except ValueError:
        value = None
    if value is None or (isinstance(value, int) and value not in _INTEGERS):
        raise RecordError(f"Feature {name} is {kinds[name]}; {text!r} is not.")
    return value


def _event_time(value: Any) -> float:
    """Return the seconds since 1970 of an ISO 8601 text or of seconds."""
    seconds = float("nan")
    try:
        seconds = float(value)
    except ValueError:
        with contextlib.suppress(ValueError):
            moment = datetime.fromisoformat(str(value))
            if moment.tzinfo is not None:
                seconds = moment.timestamp()
    if not 0 <= seconds < _YEAR_10000:  # also what is no number
        raise RecordError(
            f"The event time {value!r} is neither seconds nor yyyy-MM-dd'T'HH:mm:ssZ."
        )
    return seconds


def _stores(group: dict[str, Any], asked: list[str] | None) -> set[str]:
    """Return where a record goes: all stores of the group, or those that are asked for."""
    there = {"OfflineStore"} if "OfflineStoreConfig" in group else set()
    if group.get("OnlineStoreConfig", {}).get("EnableOnlineStore"):
        there.add("OnlineStore")
    wanted = set(asked or there)
    if wanted - there:
        missing = ", ".join(sorted(wanted - there))
        raise RecordError(f"FeatureGroup {group['FeatureGroupName']} has no {missing}.")
    return wanted


def _is_text(group: dict[str, Any], name: str) -> bool:
    kinds = {each["FeatureName"]: each["FeatureType"] for each in group["FeatureDefinitions"]}
    return bool(kinds[name] == "String")


def _one(query: Mapping[str, list[str]], name: str) -> str:
    given = query.get(name, [])
    if len(given) != 1:
        raise RecordError(f"{name} must be given once.")
    return given[0]


def _json(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body or b"{}")
    except ValueError as error:
        raise RecordError(f"the request's body is not JSON: {error}.") from error
    if not isinstance(document, dict):
        raise RecordError("the request's body must be a JSON object.")
    return document


def _check(operation: str, request: dict[str, Any]) -> None:
    """Hold a request with a body to the service model."""
    shape = _model().operation_model(operation).input_shape
    if shape is None:
        return
    report = ParamValidator().validate(request, shape)
    broken = [] if report.has_errors() else broken_constraints(shape, request)
    if report.has_errors() or broken:
        raise RecordError("; ".join(broken) or report.generate_report())


@cache
def _model() -> ServiceModel:
    return botocore.session.get_session().get_service_model("sagemaker-featurestore-runtime")


def _answered(document: dict[str, Any]) -> Answer:
    return HTTPStatus.OK, dict(_JSON), json.dumps(document).encode()


_Perform = Callable[
    [Context, dict[str, Any], dict[str, Any], Mapping[str, list[str]]], dict[str, Any]
]
_ACTS: dict[str, tuple[str, _Perform]] = {
    "PUT": ("PutRecord", _put),
    "GET": ("GetRecord", _get),
    "DELETE": ("DeleteRecord", _delete),
}
