"""The addresses among the settings: what a right one looks like."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator


def _url(value: str, schemes: tuple[str, ...], example: str) -> str:
    """`value`, if it is an address of one of `schemes`; the example is all that an error shows of an address."""
    try:
        parts = urlsplit(value)
        good = parts.scheme in schemes and bool(parts.path if parts.scheme == "unix" else parts.hostname)
        _ = parts.port
    except ValueError:
        good = False
    if not good or not value.isprintable() or " " in value:
        raise ValueError(f"expected an address such as {example}")
    return value


def _http_url(value: str) -> str:
    url = _url(value, ("http", "https"), "https://host.example/v1") if value else value
    if urlsplit(url).username is not None or urlsplit(url).fragment:
        raise ValueError("expected an address without user, password and fragment")
    return url


def _redirect_url(value: str) -> str:
    url = _http_url(_url(value, ("http", "https"), "https://host.example/redirect"))
    if urlsplit(url).path != "/redirect" or urlsplit(url).query:
        raise ValueError("expected an address that ends in /redirect, such as https://host.example/redirect")
    return url


def _redis_url(value: str) -> str:
    return _url(value, ("redis", "rediss", "unix"), "redis://host:6379/0 or unix:///path/of/socket") if value else value


def _broker_url(value: str) -> str:
    schemes = ("amqp", "amqps", "redis", "rediss", "unix")
    return _url(value, schemes, "amqp://user@host:5672/ or redis://host:6379/1") if value else value


def _host_name(value: str) -> str:
    return _host(value) if value else value


def _origin(value: str) -> str:
    parts = urlsplit(_url(value, ("http", "https"), "https://host.example:8443"))
    if f"{parts.scheme}://{parts.netloc}" != value or parts.username is not None:
        raise ValueError("expected origins such as https://host.example:8443, without a path")
    return value


def _host(value: str) -> str:
    if not value.replace(".", "").replace("-", "").replace(":", "").isalnum() or not value.isascii():
        raise ValueError("expected a host name or an IP address to listen on")
    return value


def _dotted_name(value: str) -> str:
    module, colon, name = value.partition(":")
    parts = [*module.split("."), *(name.split(".") if colon else [])]
    if len(parts) == 1 or not all(part.isidentifier() for part in parts):
        raise ValueError("expected names such as package.module:Middleware, separated by commas")
    return value


DottedName = Annotated[str, AfterValidator(_dotted_name)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
RedisUrl = Annotated[str, AfterValidator(_redis_url)]
RedirectUrl = Annotated[str, AfterValidator(_redirect_url)]
BrokerUrl = Annotated[str, AfterValidator(_broker_url)]
BrokerHost = Annotated[str, AfterValidator(_host_name)]
Origin = Annotated[str, AfterValidator(_origin)]
Host = Annotated[str, AfterValidator(_host)]
