"""Layers are kept as files, not in memory and not inside every snapshot."""

import copy
from typing import Any

from ministack.services import lambda_svc

from tidemill_local.engine.hooks import expect, expect_saved, expect_value
from tidemill_local.engine.surroundings import Surroundings

_STORES = {
    "functions": "_functions",
    "layers": "_layers",
    "esms": "_esms",
    "function_urls": "_function_urls",
    "kinesis_positions": "_kinesis_positions",
    "dynamodb_stream_positions": "_dynamodb_stream_positions",
}


def check() -> None:
    """Require ministack's store of code by digest, and the two readers of a layer's bytes."""
    expect(lambda_svc, "_write_code_blob", "(code_zip)")
    expect(lambda_svc, "_read_code_blob", "(sha)")
    expect(lambda_svc, "_prune_orphan_code_blobs", "(referenced)")
    expect(lambda_svc, "_externalize_code_zip", "(func, referenced)")
    expect(lambda_svc, "_resolve_layer_zip", "(attachment)")
    expect(lambda_svc, "serve_layer_content", "(layer_name, version, account_id=None, region=None)")
    expect_value(lambda_svc, "_BLOB_REF_KEY", str)
    for name in _STORES.values():
        expect_value(lambda_svc, name, lambda_svc.AccountRegionScopedDict)
    expect_saved(lambda_svc, set(_STORES))


def apply(surroundings: Surroundings) -> None:
    """Move the bytes of layers to files at each snapshot, and read them from there."""
    resolve, serve = lambda_svc._resolve_layer_zip, lambda_svc.serve_layer_content

    def resolve_from_file(attachment: Any) -> bytes | None:
        return layer_bytes(resolve(attachment))

    def serve_from_file(*arguments: Any, **named: Any) -> tuple[int, dict[str, str], Any]:
        status, headers, body = serve(*arguments, **named)
        return status, headers, layer_bytes(body)

    def settle() -> None:
        surroundings.files.keep_only(_digests())
        for configuration in _configurations():
            if configuration.get("State") == "Pending":  # who would have changed it is gone
                configuration |= {"State": "Active", "LastUpdateStatus": "Successful"}
        for (account, region, name), source in lambda_svc._esms.all_items():
            if ":dynamodb:" in source.get("EventSourceArn", ""):  # its stream begins anew
                positions = lambda_svc._dynamodb_stream_positions
                positions.set_scoped(account, region, name, 0)

    lambda_svc._resolve_layer_zip = resolve_from_file
    lambda_svc.serve_layer_content = serve_from_file
    lambda_svc.get_state = _state
    surroundings.on_restored.append(settle)


def layer_bytes(stored: Any) -> bytes | None:
    """Return a layer's archive, wherever it is stored."""
    if isinstance(stored, dict):
        found: bytes | None = lambda_svc._read_code_blob(stored[lambda_svc._BLOB_REF_KEY])
        return found
    kept: bytes | None = stored
    return kept


def _state() -> dict[str, Any]:
    referenced: set[str] = set()
    functions = lambda_svc.AccountRegionScopedDict()
    for (account, region, name), function in lambda_svc._functions.all_items():
        record = copy.deepcopy(function)
        for each in (record, *record.get("versions", {}).values()):
            lambda_svc._externalize_code_zip(each, referenced)
        functions.set_scoped(account, region, name, record)
    for layer in lambda_svc._layers.all_values():
        for version in layer["versions"]:
            _move_to_file(version, referenced)
    lambda_svc._prune_orphan_code_blobs(referenced)
    state = {name: copy.deepcopy(getattr(lambda_svc, store)) for name, store in _STORES.items()}
    # Of a stream only what was not read outlives the process, so positions in it begin anew.
    return {**state, "functions": functions, "dynamodb_stream_positions": {}}


def _move_to_file(version: dict[str, Any], referenced: set[str]) -> None:
    stored = version.get("_zip_data")
    if isinstance(stored, bytes):
        version["_zip_data"] = {
            lambda_svc._BLOB_REF_KEY: lambda_svc._write_code_blob(stored),
        }
    if version.get("_zip_data"):
        referenced.add(version["_zip_data"][lambda_svc._BLOB_REF_KEY])


def _configurations() -> list[dict[str, Any]]:
    return [
        record.get("config") or {}
        for function in lambda_svc._functions.all_values()
        for record in (function, *function.get("versions", {}).values())
    ]


def _digests() -> set[str]:
    contents = [
        version.get("Content") or {}
        for layer in lambda_svc._layers.all_values()
        for version in layer["versions"]
    ]
    encoded = (each.get("CodeSha256", "") for each in (*_configurations(), *contents))
    return {lambda_svc._b64_sha_to_hex(each) for each in encoded if each}
