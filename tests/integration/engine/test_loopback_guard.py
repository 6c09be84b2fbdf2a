"""Programs of this machine are answered; web pages and foreign names are not."""

import http.client
import json
import socket

import pytest


def ask(cloud, method="GET", path="/", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", cloud.port, timeout=10)
    connection.putrequest(method, path, skip_host=True)
    for name, value in ({"Host": f"127.0.0.1:{cloud.port}"} | headers).items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "localhost:4566", "bucket.localhost", "a.s3.localhost:80"]
)
def test_local_names_are_answered(cloud, host):
    answer, _ = ask(cloud, Host=host)

    assert answer.status != 403


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "evillocalhost", "[::1]"]
)
def test_foreign_names_are_refused(cloud, host):
    answer, body = ask(cloud, Host=host)

    assert answer.status == 403
    assert "answers only to 127.0.0.1" in json.loads(body)["message"]


@pytest.mark.parametrize(
    "path", ["/", "/bucket/key", "/_tidemill/status", "/endpoints/e/invocations"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_any_origin_is_refused(cloud, method, path):
    answer, body = ask(cloud, method, path, Origin="http://localhost:3000")

    assert answer.status == 403
    assert "does not answer web pages" in json.loads(body)["message"]


def test_an_image_on_a_web_page_is_refused(cloud):
    answer, _ = ask(cloud, "GET", "/?Action=ListQueues", Sec_Fetch_Site="cross-site")

    assert answer.status == 403


def test_a_sagemaker_request_passes_the_guard_too(cloud):
    answer, _ = ask(cloud, "POST", "/", Host="evil.example", X_Amz_Target="SageMaker.ListModels")

    assert answer.status == 403


def test_a_bucket_is_reached_by_its_host_name(cloud):
    cloud.client("s3").create_bucket(Bucket="guarded-by-name")
    cloud.client("s3").put_object(Bucket="guarded-by-name", Key="k", Body=b"content")

    answer, body = ask(cloud, "GET", "/k", Host=f"guarded-by-name.localhost:{cloud.port}")

    assert (answer.status, body) == (200, b"content")


def test_no_answer_has_cors_headers(cloud):
    answer, _ = ask(cloud, "GET", "/?Action=ListQueues")

    assert not [name for name in answer.headers if name.lower().startswith("access-control")]


def test_nothing_listens_beyond_loopback(cloud):
    addresses = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None)}
    outside = [address for address in addresses if not address.startswith(("127.", "::1"))]

    for address in outside:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family) as probe:
            assert probe.connect_ex((address, cloud.port)) != 0
