"""Current prices from AWS: on demand from its price list, spot from the history of EC2. boto3 lives here.

On demand: GetProducts of the Price List API, one query for each instance type, Linux, shared tenancy, nothing
pre-installed, capacity in use (docs.aws.amazon.com/aws-cost-management/latest/APIReference, read 2026-11-21).
Spot: DescribeSpotPriceHistory; the newest price of each zone, and of those the median.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.catalog import lookup, own
from holdfast.catalog.instances import instance_type
from holdfast.model.errors import InputError
from holdfast.model.fleet import CapacityType
from holdfast.model.hardware import Offering

if TYPE_CHECKING:
    from botocore.exceptions import BotoCoreError, ClientError

PRICE_LIST_REGION = "us-east-1"
"""The price list of all regions is served by a few; this one knows them all."""

ON_DEMAND_SOURCE = "AWS Price List API (GetProducts)"

_LINUX = ("Linux/UNIX", "Linux/UNIX (Amazon VPC)")
_INSTALL = "install it: pip install 'holdfast[aws]'"


@dataclass(frozen=True)
class Aws:
    """The clients that prices are read through: of the price list, and of EC2 in `region`."""

    region: str
    pricing: Any
    ec2: Any


def connect(region: str) -> Aws:
    """Clients with the credentials that boto3 finds (environment, files, roles).

    Raises InputError when boto3 is not installed, does not know the region, or finds no usable configuration.
    """
    try:
        import boto3
        import botocore.config
        from botocore.exceptions import BotoCoreError
    except ImportError as error:
        raise InputError("refreshing prices takes boto3, which is not installed", mend=_INSTALL) from error
    patience = botocore.config.Config(connect_timeout=10, read_timeout=30, retries={"mode": "standard"})
    try:
        session = boto3.Session()
        name = _region(region, session.get_available_regions("ec2"))
        return Aws(
            name,
            session.client("pricing", region_name=PRICE_LIST_REGION, config=patience),
            session.client("ec2", region_name=name, config=patience),
        )
    except (BotoCoreError, ValueError) as error:  # a ValueError: an endpoint that is no URL
        raise _sentence("the AWS configuration", error) from error


def _region(name: str, known: Sequence[str]) -> str:
    try:
        return lookup.find("region", name, {region: region for region in known})
    except InputError as error:
        raise InputError(f"boto3 knows no region {name!r}", mend=error.mend) from error


def on_demand(aws: Aws, name: str, now: datetime) -> Offering | None:
    """The on-demand offering of an instance type in the region; None where it is not sold.

    Raises InputError when AWS cannot be asked, or when the list has several prices.
    """
    wanted = {
        "instanceType": name,
        "regionCode": aws.region,
        "operatingSystem": "Linux",
        "tenancy": "Shared",
        "preInstalledSw": "NA",
        "capacitystatus": "Used",
    }
    filters = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in wanted.items()]
    what = f"the price list of {name} in {aws.region}"
    pages = _pages(aws.pricing, "get_products", what, ServiceCode="AmazonEC2", Filters=filters)
    found = {price for page in pages for item in page["PriceList"] for price in _prices_usd_per_h(json.loads(item))}
    if len(found) > 1:
        several = ", ".join(f"${price}/h" for price in sorted(found))
        raise InputError(f"{what} has several prices: {several}", mend="put the right one into your catalogue by hand")
    return _offering(aws, name, CapacityType.ON_DEMAND, found.pop(), ON_DEMAND_SOURCE, now) if found else None


def spot(aws: Aws, names: Sequence[str], now: datetime) -> Iterator[Offering]:
    """The spot offerings of those instance types: of the newest price of each zone the median over the zones.

    One that has no spot market in the region is left out. Raises InputError when EC2 cannot be asked.
    """
    # From now on means: the price that holds now, which may be days old, and no history.
    pages = _pages(
        aws.ec2,
        "describe_spot_price_history",
        f"the spot prices of {aws.region}",
        Filters=[{"Name": "instance-type", "Values": list(names)}],
        ProductDescriptions=list(_LINUX),
        StartTime=now,
    )
    newest: dict[str, dict[str, tuple[datetime, float]]] = {}
    for entry in (entry for page in pages for entry in page["SpotPriceHistory"]):
        zones = newest.setdefault(entry["InstanceType"], {})
        seen = zones.get(entry["AvailabilityZone"])
        if seen is None or entry["Timestamp"] > seen[0]:
            zones[entry["AvailabilityZone"]] = (entry["Timestamp"], float(entry["SpotPrice"]))
    for name in sorted(newest):
        prices = [price for _, price in newest[name].values()]
        source = f"EC2 spot price history (median of {len(prices)} zone{'s' if len(prices) > 1 else ''})"
        yield _offering(aws, name, CapacityType.SPOT, statistics.median(prices), source, now)


def current(aws: Aws, names: Sequence[str], now: datetime) -> Iterator[Offering]:
    """On-demand, then spot offerings as they come, so that what came before an error can be kept.

    names: instance types. now: with a time zone; its date is that of the offerings. Raises InputError.
    """
    known = [instance_type(name).name for name in names]
    for name in known:
        offering = on_demand(aws, name, now)
        if offering is not None:
            yield offering
    yield from spot(aws, known, now)


def keep(offerings: Iterable[Offering], file: Path) -> tuple[Offering, ...]:
    """Adds the offerings to the user's catalogue and returns them; when they end in an error, those before it.

    Raises what `offerings` raises, and as `own.add`.
    """
    had: list[Offering] = []
    try:
        had.extend(offerings)
    finally:
        if had:
            own.add(had, file)
    return tuple(had)


def _offering(aws: Aws, name: str, capacity: CapacityType, usd_per_h: float, source: str, now: datetime) -> Offering:
    return Offering(
        instance_type=name,
        region=aws.region,
        capacity_type=capacity,
        price_usd_per_h=usd_per_h,
        source=source,
        date=now.date().isoformat(),
        estimated=False,
    )


def _prices_usd_per_h(product: dict[str, Any]) -> Iterator[float]:
    """The on-demand prices of one item of the list. Zero is the price of what is paid otherwise, a reservation say."""
    attributes = product["product"]["attributes"]
    if attributes.get("marketoption", "OnDemand") != "OnDemand" or attributes.get("operation") != "RunInstances":
        return
    for term in product["terms"].get("OnDemand", {}).values():
        for dimension in term["priceDimensions"].values():
            usd = float(dimension["pricePerUnit"].get("USD", 0))
            if dimension["unit"] == "Hrs" and usd > 0:
                yield usd


def _pages(client: Any, operation: str, what: str, **request: Any) -> Iterator[dict[str, Any]]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield from client.get_paginator(operation).paginate(**request)
    except (BotoCoreError, ClientError) as error:
        raise _sentence(what, error) from error


_LOGIN = "set AWS_PROFILE, or log in (`aws sso login`, `aws configure`)"
_RIGHTS = "the identity needs pricing:GetProducts and ec2:DescribeSpotPriceHistory"
_REASONS = {
    "NoCredentialsError": ("there are no AWS credentials", _LOGIN),
    "PartialCredentialsError": ("the AWS credentials are not whole", _LOGIN),
    "CredentialRetrievalError": ("the AWS credentials cannot be had", _LOGIN),
    "ProfileNotFound": ("the AWS profile does not exist", "mend AWS_PROFILE"),
    "TokenRetrievalError": ("the AWS login has expired", _LOGIN),
    "UnauthorizedSSOTokenError": ("the AWS login has expired", _LOGIN),
    "SSOTokenLoadError": ("the AWS login has expired", _LOGIN),
    "ExpiredToken": ("the AWS login has expired", _LOGIN),
    "ExpiredTokenException": ("the AWS login has expired", _LOGIN),
    "RequestExpired": ("the AWS login has expired or the clock is wrong", _LOGIN),
    "AuthFailure": ("AWS does not accept the credentials for this region", "check that the region is enabled"),
    "InvalidClientTokenId": ("AWS does not know the credentials", _LOGIN),
    "UnrecognizedClientException": ("AWS does not know the credentials", _LOGIN),
    "AccessDeniedException": ("the credentials do not allow it", _RIGHTS),
    "UnauthorizedOperation": ("the credentials do not allow it", _RIGHTS),
    "Throttling": ("AWS throttles the requests", "try again in a minute"),
    "ThrottlingException": ("AWS throttles the requests", "try again in a minute"),
    "RequestLimitExceeded": ("AWS throttles the requests", "try again in a minute"),
    "ConnectTimeoutError": ("AWS does not answer in time", "check the network"),
    "ReadTimeoutError": ("AWS does not answer in time", "check the network"),
    "EndpointConnectionError": ("AWS cannot be reached", "check the network"),
    "ProxyConnectionError": ("AWS cannot be reached through the proxy", "check HTTPS_PROXY"),
    "SSLError": ("the TLS connection to AWS fails", "check AWS_CA_BUNDLE and the proxy"),
    "ConnectionClosedError": ("the connection to AWS broke", "try again"),
    "HTTPClientError": ("the connection to AWS failed", "check the network"),
}
"""What botocore's error classes and AWS's error codes mean to a person, and what to do."""


def _sentence(what: str, error: BotoCoreError | ClientError | ValueError) -> InputError:
    answer = getattr(error, "response", {}).get("Error", {})
    for name in (answer.get("Code", ""), *(kind.__name__ for kind in type(error).__mro__)):
        if name in _REASONS:
            reason, mend = _REASONS[name]
            return InputError(f"{what}: {reason}", mend=mend)
    reason = " ".join(str(answer.get("Message") or error).split()).rstrip(".")
    return InputError(f"{what}: {reason}", mend="try again, or put the price into your catalogue by hand")
