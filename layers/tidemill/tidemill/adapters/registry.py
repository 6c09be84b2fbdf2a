"""The Model Registry: versions, their metrics and approval. Projected, never copied as truth."""

from typing import TYPE_CHECKING, Any, Literal

from botocore.exceptions import ClientError

from tidemill.adapters.endpoints import is_missing
from tidemill.errors import NotFoundError

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

Approval = Literal["Approved", "Rejected", "PendingManualApproval"]


def statistics_uri(package: dict[str, Any]) -> str:
    """Return where Evaluate left the version's evaluation, of a described model package."""
    return str(package["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"])


class Registry:
    """One model package group per model; a version's number is the package's."""

    def __init__(self, client: "SageMakerClient") -> None:
        self._client = client

    def describe(self, package: str) -> dict[str, Any]:
        """
        Return DescribeModelPackage's answer.

        Raises:
            NotFoundError: There is no such package.
        """
        try:
            return dict(self._client.describe_model_package(ModelPackageName=package))
        except ClientError as error:
            if is_missing(error):
                raise NotFoundError(f"there is no model package {package}") from error
            raise

    def ensure_group(self, name: str, description: str) -> None:
        """Create the group unless it exists."""
        if name not in self._groups(name):
            self._client.create_model_package_group(
                ModelPackageGroupName=name, ModelPackageGroupDescription=description
            )

    def versions(self, group: str) -> list[dict[str, Any]]:
        """Return the group's packages, oldest first: version, package, approval, created."""
        if group not in self._groups(group):
            return []
        pages = self._client.get_paginator("list_model_packages").paginate(
            ModelPackageGroupName=group, SortBy="CreationTime", SortOrder="Ascending"
        )
        return [
            {
                "version": item["ModelPackageVersion"],
                "package": item["ModelPackageArn"],
                "approval": item["ModelApprovalStatus"],
                "created": item["CreationTime"].timestamp(),
            }
            for page in pages
            for item in page["ModelPackageSummaryList"]
        ]

    def version(self, group: str, number: int) -> dict[str, Any]:
        """
        Return one of `versions`.

        Raises:
            NotFoundError: The group has no such version.
        """
        held = self.versions(group)
        for item in held:
            if item["version"] == number:
                return item
        known = ", ".join(str(item["version"]) for item in held) or "none yet"
        raise NotFoundError(f"there is no version {number}; versions: {known}")

    def approve(self, package: str, status: Approval, why: str) -> None:
        """Set the approval status; SageMaker then emits a Model Package State Change event."""
        self._client.update_model_package(
            ModelPackageArn=package, ModelApprovalStatus=status, ApprovalDescription=why[:1024]
        )

    def _groups(self, name: str) -> set[str]:
        pages = self._client.get_paginator("list_model_package_groups").paginate(NameContains=name)
        return {
            item["ModelPackageGroupName"]
            for page in pages
            for item in page["ModelPackageGroupSummaryList"]
        }
