"""Results in a bucket of a local S3 server: the numbers of a local run, and a second machine computes nothing again."""

from pathlib import Path

import pytest
from same_results import differences
from workflow import ROOT, dry_run, snakemake

BUCKET = "tests"
STUDY = {
    "results": "results",
    "datasets": {"digits": {"kind": "digits", "tasks": ["0", "3"]}},
    "support": {"seeds": 4},
    "sources": {"cutpaste": {}, "other_tasks": {}, "procedural": {"pool": 20}},
    "candidates": [{"model": "mini:resnet_s"}],
    "preparation": {"size": 32},
    "knn": {"k": 2},
    "evaluation": {"bootstrap": 100},
    "runtime": {"device": "cpu", "threads": 1},
}

pytestmark = pytest.mark.study


@pytest.fixture(scope="module")
def bucket():
    """Snakemake's arguments for a bucket on a server that ends with the tests, and its client."""
    pytest.importorskip("snakemake_storage_plugin_s3", reason="the extra `cluster` is not installed")
    server_of = pytest.importorskip("moto.server", reason="there is no server of S3: pip install 'moto[s3,server]'")
    import boto3

    server = server_of.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    profile = ["--workflow-profile", str(ROOT / "profiles" / "cloud-storage")]
    place = ["--default-storage-prefix", f"s3://{BUCKET}/study", "--storage-s3-endpoint-url", url]
    keys = {"aws_access_key_id": "tests", "aws_secret_access_key": "tests", "region_name": "us-east-1"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SNAKEMAKE_STORAGE_S3_ACCESS_KEY", "tests")
        patch.setenv("SNAKEMAKE_STORAGE_S3_SECRET_KEY", "tests")
        yield [*profile, *place], boto3.resource("s3", endpoint_url=url, **keys).Bucket(BUCKET)
    server.stop()


@pytest.fixture(scope="module")
def first(bucket, tmp_path_factory):
    """(the results as they lie in the bucket, output) of the machine that computed them."""
    arguments, client = bucket
    output = snakemake(tmp_path_factory.mktemp("first"), STUDY, *arguments)
    fetched = tmp_path_factory.mktemp("fetched")
    for item in client.objects.all():
        path = fetched / item.key
        path.parent.mkdir(parents=True, exist_ok=True)
        client.download_file(item.key, str(path))
    return fetched / "study" / "results", output


def test_the_numbers_are_those_of_a_local_run(first, tmp_path):
    snakemake(tmp_path, STUDY)
    assert differences(first[0], tmp_path / "results") == []


def test_the_report_is_whole_and_named(first):
    assert f"The report: s3://{BUCKET}/study/results/report.html" in first[1]
    page = (first[0] / "report.html").read_text()
    assert page.count("data:image/png") >= 4  # contact sheets and sheets of anomalies of both tasks
    assert list(Path(first[0] / "figures" / "digits").glob("*.svg"))


def test_another_machine_has_nothing_to_do(first, bucket, tmp_path):
    assert dry_run(tmp_path, STUDY, *bucket[0]) == {}


def test_another_machine_computes_only_what_is_new(first, bucket, tmp_path):
    more = STUDY | {"candidates": [{"model": "mini:resnet_s"}, "descriptor:hog"]}
    # as this machine has no records of the settings, it is told that there is something new: docs/clusters.md
    rules = dry_run(tmp_path, more, *bucket[0], "--forcerun", "report")
    assert rules["embed_images"] == 1 and "split_support" not in rules and "cutpaste" not in rules
