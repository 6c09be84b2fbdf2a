"""The Feature Store: groups, records online, and every record that ever was as Parquet in S3."""

import io
import time
import uuid

import polars as pl
import pytest

from tidemill_local.sagemaker.feature_store.offline_store import OfflineStore

from .conftest import ACCOUNT, REGION, ROLE, client_of

DEFINITIONS = [
    {"FeatureName": "id", "FeatureType": "String"},
    {"FeatureName": "at", "FeatureType": "String"},
    {"FeatureName": "age", "FeatureType": "Integral"},
    {"FeatureName": "score", "FeatureType": "Fractional"},
]


@pytest.fixture(scope="module")
def cloud(shared_cloud):
    return shared_cloud


@pytest.fixture(scope="module")
def records(cloud):
    client = client_of("sagemaker-featurestore-runtime", cloud.url)
    yield client
    client.close()


def create(cloud, **request):
    name = f"group-{uuid.uuid4().hex[:8]}"
    defaults = {
        "FeatureGroupName": name,
        "RecordIdentifierFeatureName": "id",
        "EventTimeFeatureName": "at",
        "FeatureDefinitions": DEFINITIONS,
        "OnlineStoreConfig": {"EnableOnlineStore": True},
        "RoleArn": ROLE,
    }
    whole = {key: value for key, value in (defaults | request).items() if value is not None}
    cloud.sagemaker.create_feature_group(**whole)
    return whole["FeatureGroupName"]


def record(**values):
    return [{"FeatureName": name, "ValueAsString": str(value)} for name, value in values.items()]


def told(answer):
    return {each["FeatureName"]: each["ValueAsString"] for each in answer.get("Record", [])}


def got(records, group, identifier="a", **request):
    return told(
        records.get_record(
            FeatureGroupName=group, RecordIdentifierValueAsString=identifier, **request
        )
    )


def refused(says, call, **request):
    with pytest.raises(call.__self__.exceptions.ClientError) as raised:
        call(**request)
    assert says in raised.value.response["Error"]["Message"]
    return raised.value.response["Error"]["Code"]


def test_a_group_is_described_listed_changed_and_deleted(cloud, records):
    name = create(cloud, Description="people", Tags=[{"Key": "team", "Value": "red"}])
    client = cloud.sagemaker

    described = client.describe_feature_group(FeatureGroupName=name)
    assert described["FeatureGroupStatus"] == "Created"
    assert described["FeatureDefinitions"] == DEFINITIONS
    assert described["OnlineStoreConfig"]["EnableOnlineStore"]
    arn = described["FeatureGroupArn"]
    assert client.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "red"}]
    listed = client.list_feature_groups(NameContains=name, FeatureGroupStatusEquals="Created")
    assert [each["FeatureGroupArn"] for each in listed["FeatureGroupSummaries"]] == [arn]
    (found,) = client.search(
        Resource="FeatureGroup",
        SearchExpression={"Filters": [{"Name": "FeatureGroupName", "Value": name}]},
    )["Results"]
    assert found["FeatureGroup"]["Description"] == "people"
    added = [{"FeatureName": "size", "FeatureType": "Fractional"}]
    client.update_feature_group(FeatureGroupName=name, FeatureAdditions=added)
    described = client.describe_feature_group(FeatureGroupName=arn)
    assert described["FeatureDefinitions"] == DEFINITIONS + added
    assert described["LastUpdateStatus"]["Status"] == "Successful"
    client.update_feature_metadata(
        FeatureGroupName=name,
        FeatureName="age",
        Description="in years",
        ParameterAdditions=[{"Key": "unit", "Value": "a"}, {"Key": "old", "Value": "x"}],
    )
    client.update_feature_metadata(
        FeatureGroupName=name, FeatureName="age", ParameterRemovals=["old"]
    )
    said = client.describe_feature_metadata(FeatureGroupName=name, FeatureName="age")
    assert (said["Description"], said["FeatureType"]) == ("in years", "Integral")
    assert said["Parameters"] == [{"Key": "unit", "Value": "a"}]

    records.put_record(FeatureGroupName=name, Record=record(id="a", at="2026-11-22T10:00:00Z"))
    client.delete_feature_group(FeatureGroupName=name)
    assert refused("can't find", client.describe_feature_group, FeatureGroupName=name) == (
        "ResourceNotFound"
    )
    create(cloud, FeatureGroupName=name)
    assert got(records, name) == {}, "a new group of the same name is empty"


@pytest.mark.parametrize(
    ("request_part", "says"),
    [
        ({"RecordIdentifierFeatureName": "who"}, "RecordIdentifierFeatureName who is not among"),
        ({"EventTimeFeatureName": "age"}, "must be of type String or Fractional"),
        ({"FeatureDefinitions": [*DEFINITIONS, DEFINITIONS[0]]}, "name each feature once"),
        (
            {"FeatureDefinitions": [*DEFINITIONS, DEFINITIONS[0] | {"FeatureName": "write_time"}]},
            "write_time is a reserved name",
        ),
        (
            {"FeatureDefinitions": [*DEFINITIONS[:3], DEFINITIONS[3] | {"CollectionType": "List"}]},
            "CollectionType is not supported",
        ),
        ({"OnlineStoreConfig": None}, "At least one of OnlineStoreConfig"),
        (
            {"OfflineStoreConfig": {"S3StorageConfig": {"S3Uri": "s3://no-bucket-here"}}},
            "no-bucket",
        ),
    ],
)
def test_a_group_that_cannot_work_is_refused(cloud, request_part, says):
    with pytest.raises(cloud.sagemaker.exceptions.ClientError, match=says):
        create(cloud, **request_part)


def test_a_name_is_taken_once(cloud):
    name = create(cloud)
    with pytest.raises(cloud.sagemaker.exceptions.ResourceInUse, match="already exists"):
        create(cloud, FeatureGroupName=name)


def test_the_newest_event_wins_online_and_may_be_deleted(cloud, records):
    group = create(cloud)

    def put(at, **values):
        records.put_record(FeatureGroupName=group, Record=record(id="a", at=at, **values))

    put("2026-11-22T10:00:00Z", age=30, score=0.5)
    put("2026-11-22T09:00:00Z", age=29)
    assert got(records, group) == {
        "id": "a",
        "at": "2026-11-22T10:00:00Z",
        "age": "30",
        "score": "0.5",
    }
    assert got(records, group, FeatureNames=["age"]) == {"age": "30"}
    put("2026-11-22T11:00:00.500+01:00", age=31)
    assert got(records, group, FeatureNames=["age", "score"]) == {"age": "31"}
    assert got(records, group, identifier="nobody") == {}
    gone = {"FeatureGroupName": group, "RecordIdentifierValueAsString": "a"}
    records.delete_record(**gone, EventTime="2026-11-22T08:00:00Z")
    assert got(records, group), "an earlier deletion deletes nothing"
    records.delete_record(**gone, EventTime="2026-11-22T12:00:00Z")
    assert got(records, group) == {}
    put("2026-11-22T11:30:00Z", age=32)
    assert got(records, group) == {}, "it is older than the deletion"
    records.delete_record(**gone, EventTime="2026-11-22T12:00:00Z", DeletionMode="HardDelete")
    put("2026-11-22T11:30:00Z", age=32)
    assert got(records, group)["age"] == "32"


def test_records_live_as_long_as_they_are_given(cloud, records):
    group = create(cloud)
    now = int(time.time())
    definitions = [*DEFINITIONS[:1], {"FeatureName": "at", "FeatureType": "Fractional"}]
    by_seconds = create(cloud, FeatureDefinitions=definitions)
    for each in (group, by_seconds):
        at = "2020-01-01T00:00:00Z" if each == group else now
        ttl = {"Unit": "Hours", "Value": 1}
        records.put_record(FeatureGroupName=each, Record=record(id="a", at=at), TtlDuration=ttl)
    assert got(records, group) == {}, "it is over already"
    answer = records.get_record(
        FeatureGroupName=by_seconds,
        RecordIdentifierValueAsString="a",
        ExpirationTimeResponse="Enabled",
    )
    assert answer["ExpiresAt"].endswith("Z")


def test_many_records_are_got_at_once(cloud, records):
    one, two = create(cloud), create(cloud)
    for group in (one, two):
        for identifier in "ab":
            at = "2026-11-22T10:00:00Z"
            records.put_record(
                FeatureGroupName=group, Record=record(id=identifier, at=at, age=len(group))
            )

    answer = records.batch_get_record(
        Identifiers=[
            {"FeatureGroupName": one, "RecordIdentifiersValueAsString": ["a", "nobody", "b"]},
            {
                "FeatureGroupName": two,
                "RecordIdentifiersValueAsString": ["a"],
                "FeatureNames": ["age"],
            },
            {"FeatureGroupName": "missing", "RecordIdentifiersValueAsString": ["a"]},
        ]
    )

    names = [
        (each["FeatureGroupName"], each["RecordIdentifierValueAsString"])
        for each in answer["Records"]
    ]
    assert names == [(one, "a"), (one, "b"), (two, "a")]
    assert told(answer["Records"][2]) == {"age": str(len(two))}
    (error,) = answer["Errors"]
    assert (error["FeatureGroupName"], error["ErrorCode"]) == ("missing", "ResourceNotFound")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"id": "a"}, "lacks the feature at"),
        ({"at": "2026-11-22T10:00:00Z"}, "lacks the feature id"),
        ({"id": "a", "at": "noon"}, "event time 'noon'"),
        ({"id": "a", "at": "2026-11-22T10:00:00"}, "event time"),
        ({"id": "a", "at": "nan"}, "event time"),
        ({"id": "a", "at": "2026-11-22T10:00:00Z", "age": "old"}, "age is Integral; 'old' is not"),
        ({"id": "a", "at": "2026-11-22T10:00:00Z", "age": 2**63}, "age is Integral"),
        ({"id": "a", "at": "2026-11-22T10:00:00Z", "score": "x"}, "score is Fractional"),
        ({"id": "a", "at": "2026-11-22T10:00:00Z", "more": "1"}, "does not contain feature more"),
    ],
)
def test_a_record_that_does_not_fit_is_refused(cloud, records, values, says):
    group = create(cloud)
    code = refused(says, records.put_record, FeatureGroupName=group, Record=record(**values))
    assert code == "ValidationError"
    assert got(records, group) == {}


def test_the_runtime_refuses_what_it_does_not_have(cloud, records):
    group = create(cloud)
    assert refused("is not offered", records.list_records, FeatureGroupName=group) == (
        "ValidationError"
    )
    where = {"FeatureGroupName": "nobody-s", "RecordIdentifierValueAsString": "a"}
    assert refused("can't find", records.get_record, **where) == "ResourceNotFound"
    bad = record(id="a", at="2026-11-22T10:00:00Z")
    says = "has no OfflineStore"
    refused(
        says, records.put_record, FeatureGroupName=group, Record=bad, TargetStores=["OfflineStore"]
    )


def parquet(s3, bucket):
    """Return all rows of a bucket's Parquet files, and their keys."""
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
    bodies = [s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys]
    return keys, [pl.read_parquet(io.BytesIO(body)) for body in bodies]


def test_every_record_lies_in_s3_by_the_hour_of_its_event(cloud, records, s3, bucket):
    offline = {"S3StorageConfig": {"S3Uri": f"s3://{bucket}/store/"}}
    group = create(cloud, OfflineStoreConfig=offline)
    described = cloud.sagemaker.describe_feature_group(FeatureGroupName=group)
    place = described["OfflineStoreConfig"]["S3StorageConfig"]["ResolvedOutputS3Uri"]
    base = f"s3://{bucket}/store/{ACCOUNT}/sagemaker/{REGION}/offline-store/{group}-"
    assert place.startswith(base)
    assert place.endswith("/data")
    assert described["OfflineStoreStatus"]["Status"] == "Active"

    for at, age in (("2026-11-22T10:00:00Z", 30), ("2026-11-22T10:30:00Z", 31)):
        records.put_record(FeatureGroupName=group, Record=record(id="a", at=at, age=age, score=1.5))
    records.put_record(FeatureGroupName=group, Record=record(id="b", at="2026-11-22T09:59:59Z"))
    records.delete_record(
        FeatureGroupName=group, RecordIdentifierValueAsString="a", EventTime="2026-11-22T10:45:00Z"
    )
    cloud.service.context.part(OfflineStore).flush(group)
    cloud.service.context.part(OfflineStore).flush(group)  # nothing waits any more

    keys, tables = parquet(s3, bucket)
    prefix = place.removeprefix(f"s3://{bucket}/")
    assert sorted(key.rpartition("/")[0].removeprefix(prefix) for key in keys) == [
        "/year=2026/month=11/day=22/hour=09",
        "/year=2026/month=11/day=22/hour=10",
    ]
    assert any("/20261122T104500Z_" in key for key in keys)
    rows = pl.concat(tables).sort("at")
    assert rows["id"].to_list() == ["b", "a", "a", "a"]
    assert rows["age"].to_list() == [None, 30, 31, None]
    assert rows["is_deleted"].to_list() == [False, False, False, True]
    assert rows.schema["age"] == pl.Int64
    assert rows.schema["score"] == pl.Float64
    assert rows["write_time"].null_count() == rows["api_invocation_time"].null_count() == 0


def test_records_and_what_waits_for_s3_outlive_a_restart(make_cloud, tmp_path, s3, bucket):
    cloud = make_cloud(root=tmp_path)
    offline = {"S3StorageConfig": {"S3Uri": f"s3://{bucket}"}}
    group = create(cloud, OfflineStoreConfig=offline)
    client = client_of("sagemaker-featurestore-runtime", cloud.url)
    client.put_record(FeatureGroupName=group, Record=record(id="a", at="2026-11-22T10:00:00Z"))
    client.close()
    cloud.stop()

    again = make_cloud(root=tmp_path)
    client = client_of("sagemaker-featurestore-runtime", again.url)
    again.service.context.part(OfflineStore).flush()

    assert got(client, group)["id"] == "a"
    client.close()
    _, tables = parquet(s3, bucket)
    assert sum(table.height for table in tables) == 1
