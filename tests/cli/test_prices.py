"""`holdfast prices` from end to end, against a small AWS on this machine."""

from __future__ import annotations

import json
import os
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from holdfast.catalog import own

from .conftest import Run

ON_DEMAND = {"g5.xlarge": "1.1110000000", "g6.xlarge": "0.9000000000"}
SPOT = {"g5.xlarge": ["0.2", "0.3", "0.7"]}


class Handler(BaseHTTPRequestHandler):
    """GetProducts in JSON, DescribeSpotPriceHistory in XML; an instance type `g6e` is throttled."""

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
        is_list = "X-Amz-Target" in self.headers
        status, answer = products(json.loads(asked)) if is_list else (200, history(urllib.parse.parse_qs(asked)))
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1" if is_list else "text/xml")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer.encode())

    def log_message(self, *_: object) -> None:
        pass


def products(asked: dict[str, list[dict[str, str]]]) -> tuple[int, str]:
    wanted = {one["Field"]: one["Value"] for one in asked["Filters"]}
    name = wanted["instanceType"]
    if name.startswith("g6e"):
        return 400, json.dumps({"__type": "ThrottlingException", "message": "Rate exceeded"})
    items = [
        {
            "product": {"attributes": {"instanceType": name, "operation": "RunInstances"}},
            "terms": {"OnDemand": {"t": {"priceDimensions": {"d": {"unit": "Hrs", "pricePerUnit": {"USD": usd}}}}}},
        }
        for kind, usd in ON_DEMAND.items()
        if kind == name and wanted["regionCode"] == "us-west-2"
    ]
    return 200, json.dumps({"FormatVersion": "aws_v1", "PriceList": [json.dumps(item) for item in items]})


def history(asked: dict[str, list[str]]) -> str:
    names = [values[0] for key, values in asked.items() if key.startswith("Filter.1.Value")]
    items = "".join(
        f"<item><instanceType>{name}</instanceType><availabilityZone>us-west-2{zone}</availabilityZone>"
        f"<spotPrice>{usd}</spotPrice><timestamp>2026-11-21T00:00:00Z</timestamp></item>"
        for name in names
        for zone, usd in zip("abc", SPOT.get(name, ()), strict=False)
    )
    answer = "DescribeSpotPriceHistoryResponse"
    return f"<{answer}><spotPriceHistorySet>{items}</spotPriceHistorySet></{answer}>"


@pytest.fixture
def prices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A user's catalogue, and an AWS for as long as the test runs."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
        monkeypatch.setenv(own.VARIABLE, str(tmp_path / "mine" / "prices.csv"))
        yield tmp_path / "mine" / "prices.csv"
        server.shutdown()
        thread.join(timeout=10)


def test_what_is_refreshed_is_shown_and_planned_with(holdfast: Run, prices: Path) -> None:
    wanted = ("--instance", "g5.xlarge", "--instance", "g6.xlarge")
    done = holdfast("prices", "refresh", "--region", "us-west-2", *wanted, "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == f"3 prices written to {prices}\n"
    told = {(row["instance_type"], row["capacity_type"]): row for row in json.loads(done.stdout)["prices"]}
    assert {key: row["price_usd_per_h"] for key, row in told.items()} == {
        ("g5.xlarge", "on-demand"): 1.111,
        ("g5.xlarge", "spot"): 0.3,
        ("g6.xlarge", "on-demand"): 0.9,
    }
    assert all(row["age_days"] == 0 and not row["stale"] for row in told.values())
    shown = holdfast("prices", "--region", "us-west-2", "--instance", "g5.xlarge", "--json")
    assert {row["price_usd_per_h"] for row in json.loads(shown.stdout)["prices"]} == {1.111, 0.3}
    listed = holdfast("catalog", "--region", "us-west-2", "--accelerator", "a10g")
    assert "1.1110" in listed.stdout


def test_the_table_fits_80_columns_and_marks_estimates_and_age(holdfast: Run) -> None:
    done = holdfast("prices")
    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "estimate" in done.stdout and "unknown" in done.stdout
    assert "DERIVED us-east-1 x family ratio" in done.stdout


def test_what_was_fetched_before_aws_throttles_is_kept(holdfast: Run, prices: Path) -> None:
    done = holdfast("prices", "refresh", "--region", "us-west-2", "--instance", "g5.xlarge", "--instance", "g6e.xlarge")
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == f"1 prices written to {prices}"
    assert done.stderr.splitlines()[1].startswith("holdfast: the price list of g6e.xlarge in us-west-2: AWS throttles")
    assert [one.price_usd_per_h for one in own.read(prices)] == [1.111]


def test_an_instance_type_that_is_not_sold_is_said_and_the_others_are_kept(holdfast: Run, prices: Path) -> None:
    done = holdfast(
        "prices", "refresh", "--region", "us-west-2", "--instance", "trn2.48xlarge", "--instance", "g6.xlarge"
    )
    assert done.returncode == 2
    assert "trn2.48xlarge is not sold in us-west-2" in done.stderr
    assert [one.instance_type for one in own.read(prices)] == ["g6.xlarge"]


def test_where_not_everything_is_sold_the_rest_is_counted(holdfast: Run, prices: Path) -> None:
    done = holdfast("prices", "refresh", "--region", "us-west-2", "--accelerator", "a10g")
    assert done.returncode == 0
    assert done.stderr.endswith("7 of 8 instance types are not sold in us-west-2\n")


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        (("refresh", "--region", "us-west-2"), {"AWS_ACCESS_KEY_ID": ""}, "there are no AWS credentials"),
        (("refresh", "--region", "us-west-2"), {"AWS_PROFILE": "nobody"}, "the AWS profile does not exist"),
        (("refresh", "--region", "us-west-2"), {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "cannot be reached"),
        (("refresh", "--region", "us-west-2"), {"AWS_ENDPOINT_URL": "nonsense"}, "Invalid endpoint"),
        (("refresh", "--region", "us-wset-2"), {}, "did you mean us-west-2"),
        (("refresh", "--region", "us-west-2", "--instance", "g5.xlrge"), {}, "did you mean g5.xlarge"),
        (("refresh", "--region", "us-west-2", "--accelerator", "a10"), {}, "a10g"),
        (("refresh", "--region", "us-west-2", "--file", "."), {}, "Is a directory"),
        (("--region", "us-west-2", "refresh", "--region", "us-west-2"), {}, "flags of refresh stand behind it"),
        (("--file", "missing.csv"), {}, "No such file"),
        (("--file", "."), {}, "Is a directory"),
        (("--region", "mars"), {}, "known: ap-northeast-1"),
        (("--instance", "g5.xlrge"), {}, "did you mean g5.xlarge"),
        ((), {own.VARIABLE: os.curdir}, "Is a directory"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    holdfast: Run,
    prices: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    environment: dict[str, str],
    words: str,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    done = holdfast("prices", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.startswith("holdfast: ") and done.stderr.count("\n") == 1
    assert not prices.exists()
