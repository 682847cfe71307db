"""What can be turned: size and seed of the data, latency, fault rates, lives of tokens, addresses."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from yarl import URL

Rate = Annotated[float, Field(ge=0, le=1)]
HeaderText = Annotated[str, Field(pattern=r"^[\x20-\x7e]*$")]
Seconds = Annotated[int, Field(ge=1, le=10**9)]


def _base_address(value: str) -> str:
    """`value` without a trailing slash; raises ValueError unless it is empty or an http(s) address."""
    url = URL(value)
    if value and (url.scheme not in ("http", "https") or not url.host or url.query_string or url.fragment):
        raise ValueError("must be an http or https address without query, such as http://localhost:5000/webex/v1")
    return value.rstrip("/")


Address = Annotated[str, AfterValidator(_base_address)]


class Knobs(BaseModel):
    """Each field is an option of the command line, and may be changed through `/_control/knobs` while running."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    public_url: Address = Field("", description="the API's address as browsers reach it, such as through nginx")
    internal_url: Address = Field("", description="the same as servers reach it; empty: what each request asked for")
    seed: int = Field(1, description="the same seed gives the same people, spaces and messages")
    users: int = Field(2, ge=2, le=50, description="people who can log in")
    spaces: int = Field(25, ge=0, le=100_000, description="spaces of each user")
    messages: int = Field(200, ge=0, le=10_000_000, description="messages in the fullest space; the others have fewer")
    latency: float = Field(0.0, ge=0, le=600, description="seconds before each answer of the API")
    error_rate: Rate = Field(0.0, description="share of API requests answered 502")
    limit_rate: Rate = Field(0.0, description="share of API requests answered 429")
    locked_rate: Rate = Field(0.0, description="share of API requests answered 423")
    retry_after: HeaderText = Field("1", description="Retry-After of 429 and 423; empty: none")
    requests_per_minute: int = Field(0, ge=0, description="API requests a token may make in a minute; 0: any number")
    token_lifetime: Seconds = Field(1_209_599, description="seconds that an access token lasts")
    refresh_lifetime: Seconds = Field(7_775_999, description="seconds that a refresh token lasts")
    rotate: bool = Field(True, description="a refresh gives a new refresh token and ends the old one")
    bare_replies: bool = Field(False, description="leave token_type and scope out of token replies, as older ones do")
