"""QueryLineage: what led to an entity, and what came of it."""

from typing import Any

from tidemill_local.sagemaker import paging
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import ResourceNotFoundError, ValidationError
from tidemill_local.sagemaker.lineage import associations
from tidemill_local.sagemaker.operations import operation

_DEEPEST = 10
_MOST = 50  # vertices of a page
_KINDS = ("Artifact", "Context", "Action", "TrialComponent")
_MOMENTS = {"Created": "CreationTime", "Modified": "LastModifiedTime"}


@operation("QueryLineage")
def query_lineage(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """
    Walk the graph from an entity, and return what it reaches and the filters want.

    Without a start, all entities that the filters want. The start itself is not in the answer. Of
    the edges, those whose both ends are the start or in the answer's page.
    """
    filters = request.get("Filters", {})
    starts = request.get("StartArns", [])
    if not starts and not filters:
        raise ValidationError("Either StartArns or Filters must be given.")
    depth = request.get("MaxDepth", _DEEPEST)
    if depth < 1:
        raise ValidationError("MaxDepth must be at least 1.")
    if request.get("MaxResults", 1) < 1:
        raise ValidationError("MaxResults must be at least 1.")
    reached = _reached(context, starts, request.get("Direction", "Both"), depth)
    rows = [row for row in reached if _wanted(row, filters)]
    paged = {"MaxResults": _MOST} | {
        field: request[field] for field in ("MaxResults", "NextToken") if field in request
    }
    answer = paging.page(paged, rows, answer="Vertices", name="Arn")
    answer["Edges"] = []  # there when nobody asked, too: SageMaker's SDK reads it
    if request.get("IncludeEdges", True):
        shown = {row["Arn"].lower() for row in answer["Vertices"]} | {arn.lower() for arn in starts}
        answer["Edges"] = [
            edge
            for edge in associations.edges(context)
            if {edge["SourceArn"].lower(), edge["DestinationArn"].lower()} <= shown
        ]
    return answer


def _reached(
    context: Context, starts: list[str], direction: str, depth: int
) -> list[dict[str, Any]]:
    if not starts:
        arns = [body[f"{kind}Arn"] for kind in _KINDS for body in context.store.rows(kind)]
    else:
        for arn in starts:
            if associations.vertex(context, arn) is None:
                raise ResourceNotFoundError(f"Entity {arn} does not exist.")
        arns = _walked(context, starts, direction, depth)
    return [row for arn in arns if (row := associations.vertex(context, arn)) is not None]


def _walked(context: Context, starts: list[str], direction: str, depth: int) -> list[str]:
    """
    Return the ARNs within so many edges of the start.

    Both directions are two walks, one back and one on: siblings are no relatives.
    """
    if direction == "Both":
        ways = [_walked(context, starts, way, depth) for way in ("Ascendants", "Descendants")]
        return list(dict.fromkeys(arn for way in ways for arn in way))
    leads = associations.neighbours(associations.edges(context), direction)
    seen = {arn.lower() for arn in starts}
    found: list[str] = []
    border = list(starts)
    for _ in range(depth):
        beyond = []
        for arn in border:
            for other, _ in leads.get(arn.lower(), ()):
                if other.lower() not in seen:
                    seen.add(other.lower())
                    beyond.append(other)
        found += beyond
        border = beyond
    return found


def _wanted(row: dict[str, Any], filters: dict[str, Any]) -> bool:
    if row["Type"] not in filters.get("Types", [row["Type"]]):
        return False
    if row["LineageType"] not in filters.get("LineageTypes", [row["LineageType"]]):
        return False
    properties = row.get("Properties", {})
    if any(properties.get(key) != value for key, value in filters.get("Properties", {}).items()):
        return False
    for word, field in _MOMENTS.items():
        if not filters.get(f"{word}After", 0.0) <= row[field]:
            return False
        if not row[field] <= filters.get(f"{word}Before", float("inf")):
            return False
    return True
