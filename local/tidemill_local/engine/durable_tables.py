"""A DynamoDB item is on disk before the client hears that it was written."""

import copy
import json
import threading
from collections import defaultdict
from typing import Any

from ministack.services import dynamodb

from tidemill_local.engine.hooks import expect, expect_saved, expect_value
from tidemill_local.engine.surroundings import Surroundings

_STORE = "item"
_UNSAVED = ("items", "_index_members")
_OTHERS = (
    "tags", "ttl_settings", "pitr_settings", "kinesis_destinations", "contributor_insights",
    "backups", "resource_policies", "exports", "imports",
)  # fmt: skip


def check() -> None:
    """Require the only three places where ministack changes a table's items."""
    expect(dynamodb, "_set_item", "(table, pk_val, sk_val, item)")
    expect(dynamodb, "_remove_item", "(table, pk_val, sk_val)")
    expect(dynamodb, "_items_replaced", "(table)")
    expect(dynamodb, "_update_counts", "(table)")
    for name in ("tables", *_OTHERS):
        expect_value(dynamodb, f"_{name}", dynamodb.AccountRegionScopedDict)
    expect_saved(dynamodb, {"tables", *_OTHERS})


def apply(surroundings: Surroundings) -> None:
    """Record each change of an item; leave the items out of the snapshots."""
    records = surroundings.records
    order = threading.RLock()  # the disk must see the changes of an item in memory's order
    set_item, remove_item, replaced = (
        dynamodb._set_item, dynamodb._remove_item, dynamodb._items_replaced,
    )  # fmt: skip

    def set_durably(table: dict[str, Any], pk: str, sk: str, item: dict[str, Any]) -> Any:
        with order:
            old = set_item(table, pk, sk, item)
            records.put(_STORE, table["TableId"], _key(pk, sk), item)
        return old

    def remove_durably(table: dict[str, Any], pk: str, sk: str) -> Any:
        with order:
            old = remove_item(table, pk, sk)
            if old is not None:
                records.delete(_STORE, table["TableId"], _key(pk, sk))
        return old

    def replace_durably(table: dict[str, Any]) -> None:
        with order:
            replaced(table)
            items = {
                _key(pk, sk): item
                for pk, bucket in table["items"].items()
                for sk, item in bucket.items()
            }
            records.replace(_STORE, table["TableId"], items)

    def restore() -> None:
        tables = {table["TableId"]: table for table in dynamodb._tables.all_values()}
        records.keep_parents(_STORE, set(tables))
        for table in tables.values():
            table["items"] = defaultdict(dict)
        for table_id, key, item in records.rows(_STORE):
            pk, sk = json.loads(key)
            tables[table_id]["items"][pk][sk] = item
        for table in tables.values():
            dynamodb._update_counts(table)

    dynamodb._set_item = set_durably
    dynamodb._remove_item = remove_durably
    dynamodb._items_replaced = replace_durably
    dynamodb.get_state = _state
    surroundings.on_restored.append(restore)


def _state() -> dict[str, Any]:
    tables = dynamodb.AccountRegionScopedDict()
    for (account, region, name), table in dynamodb._tables.all_items():
        kept = {key: value for key, value in table.items() if key not in _UNSAVED}
        tables.set_scoped(account, region, name, kept)
    others = {name: copy.deepcopy(getattr(dynamodb, f"_{name}")) for name in _OTHERS}
    return {"tables": tables, **others}


def _key(pk: str, sk: str) -> str:
    return json.dumps([pk, sk])
