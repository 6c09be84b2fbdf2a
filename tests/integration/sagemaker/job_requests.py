"""Parts of requests for jobs, and what they leave in S3."""

import io
import tarfile


def s3_input(name, uri, data_type="S3Prefix"):
    return {
        "InputName": name,
        "S3Input": {
            "S3Uri": uri,
            "LocalPath": f"/opt/ml/processing/input/{name}",
            "S3DataType": data_type,
            "S3InputMode": "File",
        },
    }


def s3_output(uri, path="/opt/ml/processing/output", mode="EndOfJob"):
    output = {"S3Uri": uri, "LocalPath": path, "S3UploadMode": mode}
    return {"Outputs": [{"OutputName": "out", "S3Output": output}]}


def keys(s3, bucket, prefix):
    found = s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
    return [item["Key"].removeprefix(prefix) for item in found]


def put(s3, bucket, **objects):
    for key, body in objects.items():
        s3.put_object(Bucket=bucket, Key=key.replace("__", "/"), Body=body)


def channel(name, uri, data_type="S3Prefix"):
    source = {"S3DataType": data_type, "S3Uri": uri}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}


def archive(s3, bucket, key):
    data = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
        return {name: tar.extractfile(name).read().decode() for name in tar.getnames()}
