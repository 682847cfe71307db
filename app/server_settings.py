"""The settings of the server, its login and its store; the others, and reading them all, are in config.py."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, SecretStr
from pydantic_settings import NoDecode

from app.addresses import DottedName, Host, HttpUrl, Origin, RedirectUrl, RedisUrl


def _own_redirect(data: dict[str, Any]) -> str:
    return f"http://localhost:{data.get('port', 5000)}/redirect"


def _log_format(data: dict[str, Any]) -> Literal["text", "json"]:
    return "json" if data.get("environment") == "production" else "text"


def _examples(data: dict[str, Any]) -> Literal["off", "on"]:
    return "off" if data.get("environment") == "production" else "on"


def number(default: float, low: float, high: float, unit: str, description: str) -> Any:
    """A setting that is a number from `low` to `high`, in `unit`."""
    return Field(default, ge=low, le=high, description=description, json_schema_extra={"unit": unit})


class ServerSettings(BaseModel):
    """As Settings."""

    # Server
    environment: Literal["development", "production"] = Field(
        "development", description="`production` starts only with keys, a store and a login provider of its own."
    )
    host: Host = Field("127.0.0.1", description="Address to listen on.")
    port: int = number(5000, 1, 65535, "", "TCP port to listen on.")
    async_stack: Literal["eventlet", "threading"] = Field("eventlet", description="How the web server waits.")
    max_connections: int = number(
        2000, 10, 100_000, "connections", "Most connections at one time; more are answered with 503."
    )
    user_sockets: int = number(
        100, 1, 100_000, "connections", "Most open pages of one user at one time, and as many HTTP streams."
    )
    threads: int = number(
        200, 4, 10_000, "threads", "Threads that answer, with `ASYNC_STACK=threading`; an open page holds one."
    )
    log_format: Literal["text", "json"] = Field(
        default_factory=_log_format, description="How the log is written; empty: `json` in production, else `text`."
    )
    wsgi_middleware: Annotated[tuple[DottedName, ...], NoDecode] = Field(
        (),
        description="WSGI middleware around everything, as `module:callable` by commas; the first sees requests first: "
        "docs/middleware.md.",
    )
    examples: Literal["off", "on"] = Field(
        default_factory=_examples,
        description="Whether the examples of docs/middleware.md are served; empty: not in production.",
    )
    watchdog_seconds: float = number(
        2.0, 0.1, 3600, "seconds", "The log says what holds the web server up for longer than this."
    )
    # Login
    client_id: str = Field("", description="OAuth client id of the integration; empty: the local stand-in is used.")
    client_secret: SecretStr = Field(SecretStr(""), description="OAuth client secret of the integration.")
    redirect_uri: RedirectUrl = Field(
        default_factory=_own_redirect,
        description="OAuth redirect URI; also the address that visitors use. Empty: `http://localhost:PORT/redirect`.",
    )
    scope: str = Field("spark:all spark:kms", description="OAuth scopes, separated by spaces.")
    provider_name: str = Field("Webex", description="The provider's name, as pages show it.")
    provider_url: HttpUrl = Field("https://webexapis.com/v1", description="The provider as this server reaches it.")
    provider_public_url: HttpUrl = Field("", description="The same as browsers reach it; empty: `PROVIDER_URL`.")
    stand_in_url: HttpUrl = Field(
        "", description="A running stand-in, used while `CLIENT_ID` is empty; empty: `python -m app` starts one."
    )
    stand_in_public_url: HttpUrl = Field("", description="The same as browsers reach it; empty: `STAND_IN_URL`.")
    revocation_url: HttpUrl = Field("", description="RFC 7009 revocation address, asked at logout; empty: none.")
    allowed_origins: Annotated[tuple[Origin, ...], NoDecode] = Field(
        (), description="Origins that may open the websocket, separated by commas; empty: that of `REDIRECT_URI`."
    )
    cors_origins: Annotated[tuple[Origin, ...], NoDecode] = Field(
        (),
        description="Origins whose pages may call the HTTP API and JSON-RPC with a token, by commas, as browsers write "
        "them; empty: none.",
    )
    session_hours: int = number(12, 1, 24 * 30, "hours", "How long a login lasts without use.")
    secret_key: SecretStr = Field(SecretStr(""), description="Signs what browsers send back; empty: made in `KEY_DIR`.")
    token_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (), description="Fernet keys that encrypt tokens, newest first, by commas; empty: made in `KEY_DIR`."
    )
    key_dir: Path = Field(Path("instance"), description="Folder for keys that are made at the first start.")
    # Store
    redis_url: RedisUrl = Field("", description="`redis://`, `rediss://` or `unix://`; empty: an embedded Valkey.")
    redis_password: SecretStr = Field(SecretStr(""), description="Password of that server; one in `REDIS_URL` wins.")
    redis_timeout: float = number(5.0, 0.1, 60, "seconds", "Most time for one Redis command.")
    redis_connections: int = number(64, 4, 10_000, "connections", "Most Redis connections for commands.")
    data_dir: Path = Field(Path("redis_data"), description="Folder where the embedded Valkey keeps runs and output.")
    data_megabytes: int = number(
        1024, 16, 1_048_576, "megabytes", "Most memory of the embedded Valkey; then Start is refused."
    )
