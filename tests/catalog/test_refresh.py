"""Prices from AWS: the price list by botocore's stubber in its documented shape, spot history by moto."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import moto
import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError
from botocore.stub import Stubber

from holdfast.catalog import own, refresh
from holdfast.model.errors import InputError
from holdfast.model.fleet import CapacityType
from holdfast.model.hardware import Offering

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def aws() -> Iterator[refresh.Aws]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "nobody")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
        yield refresh.connect("us-west-2")


@pytest.fixture
def price_list(aws: refresh.Aws) -> Iterator[Stubber]:
    with Stubber(aws.pricing) as stubber:
        yield stubber


@pytest.fixture
def spot_history(aws: refresh.Aws) -> Iterator[Stubber]:
    with Stubber(aws.ec2) as stubber:
        yield stubber


def product(usd: str = "1.0060000000", unit: str = "Hrs", terms: str = "OnDemand", **attributes: str) -> str:
    """An item of PriceList, a JSON string as the API sends it, cut to the keys that matter and some that do not."""
    dimension = {"unit": unit, "pricePerUnit": {"USD": usd}, "rateCode": "SKU.JRTCKXETXF.6YS6EN2CT7", "beginRange": "0"}
    term = {"offerTermCode": "JRTCKXETXF", "priceDimensions": {"SKU.JRTCKXETXF.6YS6EN2CT7": dimension}}
    described = {"instanceType": "g5.xlarge", "operation": "RunInstances", "marketoption": "OnDemand", **attributes}
    return json.dumps(
        {
            "product": {"productFamily": "Compute Instance", "attributes": described, "sku": "SKU"},
            "serviceCode": "AmazonEC2",
            "terms": {terms: {"SKU.JRTCKXETXF": term}},
            "publicationDate": "2026-11-20T00:00:00Z",
        }
    )


def asked(name: str = "g5.xlarge", **more: Any) -> dict[str, Any]:
    wanted = {
        "instanceType": name,
        "regionCode": "us-west-2",
        "operatingSystem": "Linux",
        "tenancy": "Shared",
        "preInstalledSw": "NA",
        "capacitystatus": "Used",
    }
    filters = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in wanted.items()]
    return {"ServiceCode": "AmazonEC2", "Filters": filters, **more}


def page(*items: str, **more: str) -> dict[str, Any]:
    return {"FormatVersion": "aws_v1", "PriceList": list(items), **more}


def quoted(zone: str, usd: str, minutes: int = 0, name: str = "g5.xlarge") -> dict[str, Any]:
    return {
        "InstanceType": name,
        "ProductDescription": "Linux/UNIX",
        "AvailabilityZone": f"us-west-2{zone}",
        "SpotPrice": usd,
        "Timestamp": NOW - timedelta(minutes=minutes),
    }


def test_the_price_list_is_asked_in_us_east_1_and_spot_in_the_region(aws: refresh.Aws) -> None:
    assert aws.pricing.meta.endpoint_url == "https://api.pricing.us-east-1.amazonaws.com"
    assert aws.ec2.meta.endpoint_url == "https://ec2.us-west-2.amazonaws.com"


def test_the_on_demand_price_is_the_lists(aws: refresh.Aws, price_list: Stubber) -> None:
    price_list.add_response("get_products", page(product()), asked())
    assert refresh.on_demand(aws, "g5.xlarge", NOW) == Offering(
        "g5.xlarge",
        "us-west-2",
        CapacityType.ON_DEMAND,
        1.006,
        refresh.ON_DEMAND_SOURCE,
        "2026-11-21",
        estimated=False,
    )


def test_every_page_of_the_list_is_read(aws: refresh.Aws, price_list: Stubber) -> None:
    price_list.add_response("get_products", page(NextToken="more"), asked())
    price_list.add_response("get_products", page(product()), asked(NextToken="more"))
    found = refresh.on_demand(aws, "g5.xlarge", NOW)
    assert found is not None and found.price_usd_per_h == 1.006
    price_list.assert_no_pending_responses()


@pytest.mark.parametrize(
    "other",
    [
        product(usd="0.0000000000"),  # what a reservation has paid
        product(usd="5000", unit="Quantity"),
        product(usd="0.7", terms="Reserved"),
        product(usd="9", marketoption="CapacityBlock"),
        product(usd="9", operation="RunInstances:0010"),
    ],
)
def test_what_is_not_paid_by_the_hour_on_demand_is_no_price(aws: refresh.Aws, price_list: Stubber, other: str) -> None:
    price_list.add_response("get_products", page(other, product()), asked())
    found = refresh.on_demand(aws, "g5.xlarge", NOW)
    assert found is not None and found.price_usd_per_h == 1.006


def test_what_is_not_sold_has_no_offering(aws: refresh.Aws, price_list: Stubber) -> None:
    price_list.add_response("get_products", page(), asked("trn2.48xlarge"))
    assert refresh.on_demand(aws, "trn2.48xlarge", NOW) is None


def test_two_prices_of_one_thing_are_not_chosen_among(aws: refresh.Aws, price_list: Stubber) -> None:
    price_list.add_response("get_products", page(product(), product(usd="1.5")), asked())
    with pytest.raises(InputError, match=r"g5.xlarge in us-west-2 has several prices: \$1.006/h, \$1.5/h"):
        refresh.on_demand(aws, "g5.xlarge", NOW)


def test_a_spot_price_is_the_median_over_zones_of_the_newest_in_each(aws: refresh.Aws, spot_history: Stubber) -> None:
    request = {
        "Filters": [{"Name": "instance-type", "Values": ["g5.xlarge", "g5.2xlarge"]}],
        "ProductDescriptions": ["Linux/UNIX", "Linux/UNIX (Amazon VPC)"],
        "StartTime": NOW,
    }
    first = [quoted("a", "0.40", minutes=5), quoted("a", "0.90", minutes=50), quoted("b", "0.60")]
    second = [quoted("b", "0.10", minutes=1), quoted("c", "0.45"), quoted("d", "0.80")]
    spot_history.add_response("describe_spot_price_history", {"SpotPriceHistory": first, "NextToken": "more"}, request)
    spot_history.add_response(
        "describe_spot_price_history", {"SpotPriceHistory": second}, {**request, "NextToken": "more"}
    )
    (found,) = refresh.spot(aws, ["g5.xlarge", "g5.2xlarge"], NOW)
    assert found.price_usd_per_h == pytest.approx((0.45 + 0.60) / 2)
    assert found.source == "EC2 spot price history (median of 4 zones)"
    assert (found.instance_type, found.capacity_type, found.date) == ("g5.xlarge", CapacityType.SPOT, "2026-11-21")


def test_the_spot_history_of_a_mock_ec2_is_read(aws: refresh.Aws) -> None:
    with moto.mock_aws():
        found = refresh.spot(aws, ["g5.xlarge", "inf2.xlarge", "trn1n.32xlarge"], NOW)
        assert {one.instance_type for one in found} >= {"g5.xlarge", "inf2.xlarge"}


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("ThrottlingException", "AWS throttles the requests; try again in a minute"),
        ("ExpiredTokenException", "the AWS login has expired; set AWS_PROFILE, or log in"),
        ("AccessDeniedException", "the credentials do not allow it; the identity needs pricing:GetProducts"),
        ("UnrecognizedClientException", "AWS does not know the credentials"),
        ("InternalErrorException", "Something happened; try again, or put the price into your catalogue by hand"),
    ],
)
def test_an_error_of_aws_is_one_sentence(aws: refresh.Aws, price_list: Stubber, code: str, sentence: str) -> None:
    price_list.add_client_error("get_products", code, "Something\nhappened.")
    with pytest.raises(InputError, match=f"^the price list of g5.xlarge in us-west-2: {sentence}"):
        refresh.on_demand(aws, "g5.xlarge", NOW)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (NoCredentialsError(), "there are no AWS credentials; set AWS_PROFILE, or log in"),
        (EndpointConnectionError(endpoint_url="https://ec2"), "AWS cannot be reached; check the network"),
    ],
)
def test_an_error_on_the_way_to_aws_is_one_sentence(aws: refresh.Aws, error: Exception, sentence: str) -> None:
    def fail(**_: object) -> None:
        raise error

    aws.ec2.meta.events.register("before-send", fail)
    with pytest.raises(InputError, match=f"the spot prices of us-west-2: {sentence}"):
        list(refresh.spot(aws, ["g5.xlarge"], NOW))
    aws.ec2.meta.events.unregister("before-send", fail)


def test_what_came_before_an_error_is_kept(
    aws: refresh.Aws, price_list: Stubber, spot_history: Stubber, tmp_path: Path
) -> None:
    file = tmp_path / "prices.csv"
    price_list.add_response("get_products", page(product()), asked())
    price_list.add_response("get_products", page(), asked("inf2.xlarge"))
    spot_history.add_client_error("describe_spot_price_history", "RequestLimitExceeded")
    with pytest.raises(InputError, match="AWS throttles"):
        refresh.keep(refresh.current(aws, ["g5.xlarge", "INF2.xlarge"], NOW), file)
    assert [(one.instance_type, one.price_usd_per_h) for one in own.read(file)] == [("g5.xlarge", 1.006)]


@pytest.mark.parametrize("region", ["us-wset-2", "", "eu west 1"])
def test_a_region_that_there_is_not_is_refused(region: str) -> None:
    with pytest.raises(InputError, match=f"boto3 knows no region '{region}'"):
        refresh.connect(region)


def test_without_boto3_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(InputError, match=r"boto3, which is not installed; install it: pip install 'holdfast\[aws\]'"):
        refresh.connect("us-west-2")


def test_the_catalogue_and_its_verbs_do_not_load_boto3() -> None:
    imports = "holdfast.catalog.refresh, holdfast.cli.work.prices"
    script = f"import sys, {imports}; print({{'boto3', 'botocore'}} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "set()\n"


def test_the_tests_have_no_aws_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)  # the clients above brought theirs
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY", raising=False)
    session = boto3.Session()
    assert session.available_profiles == []
    assert session.get_credentials() is None
