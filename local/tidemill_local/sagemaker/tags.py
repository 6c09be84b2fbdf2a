"""Tags, of everything that has an ARN."""

from typing import Any

from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import ValidationError
from tidemill_local.sagemaker.operations import operation

_MOST_TAGS = 50
_PAGE = 50


@operation("AddTags")
def add_tags(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Add tags or replace those with the same key."""
    arn = _existing(context, request["ResourceArn"])
    keys = {tag["Key"] for tag in request["Tags"]} | set(context.store.tag_map(arn))
    if len(keys) > _MOST_TAGS:
        raise ValidationError(
            f"{arn} would have {len(keys)} tags; a resource can have {_MOST_TAGS}: remove some"
        )
    return {"Tags": context.store.add_tags(arn, request["Tags"])}


@operation("ListTags")
def list_tags(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a page of tags, sorted by key; the token is the last key shown."""
    tags = context.store.tags(_existing(context, request["ResourceArn"]))
    tags = [tag for tag in tags if tag["Key"] > request.get("NextToken", "")]
    size = request.get("MaxResults", _PAGE)
    answer: dict[str, Any] = {"Tags": tags[:size]}
    if len(tags) > size:
        answer["NextToken"] = tags[size - 1]["Key"]
    return answer


@operation("DeleteTags")
def delete_tags(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Remove tags by key."""
    context.store.remove_tags(_existing(context, request["ResourceArn"]), request["TagKeys"])
    return {}


def _existing(context: Context, arn: str) -> str:
    if context.store.find_arn(arn) is None:
        raise ValidationError(f"Could not find a resource with ARN {arn}; check it")
    return arn
