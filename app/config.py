"""The settings: frozen, each documented, read from the environment and `webexintegration.env` by this file alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.errors import ConfigError

ENV_FILE = Path("webexintegration.env")


class Settings(BaseSettings):
    """Every setting by its name in the environment, in upper case; `docs/settings.md` is made from the descriptions."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_file_encoding="utf-8")

    # Login
    client_id: str = Field("", description="OAuth client id of the integration; empty: the local stand-in is used.")
    client_secret: SecretStr = Field(SecretStr(""), description="OAuth client secret of the integration.")
    redirect_uri: str = Field(
        "http://localhost:5000/redirect", description="OAuth redirect URI; also tells the address that visitors use."
    )
    scope: str = Field("spark:all spark:kms", description="OAuth scopes, separated by spaces.")
    provider_name: str = Field("Webex", description="The provider's name, as pages show it.")
    provider_url: str = Field("https://webexapis.com/v1", description="The provider's address as this server reaches it.")
    provider_public_url: str = Field("", description="The same as browsers reach it; empty: `PROVIDER_URL`.")
    revocation_url: str = Field("", description="RFC 7009 revocation address, asked at logout; empty: none.")
    # Server
    environment: Literal["development", "production"] = Field(
        "development", description="`production` refuses to start without keys of its own."
    )
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(5000, ge=1, le=65535, description="TCP port to listen on.")
    async_stack: Literal["eventlet", "threading"] = Field("eventlet", description="How the web server waits.")
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Origins that may open the websocket, separated by commas; empty: that of `REDIRECT_URI`."
    )
    session_hours: int = Field(12, ge=1, le=24 * 30, description="Hours that a login lasts without use.")
    # Store
    redis_url: str = Field("", description="`redis://`, `rediss://` or `unix://`; empty: an embedded Valkey.")
    redis_timeout: float = Field(5.0, gt=0, le=60, description="Seconds that one Redis command may take.")
    redis_connections: int = Field(64, ge=4, le=10_000, description="Most Redis connections for commands.")
    secret_key: SecretStr = Field(SecretStr(""), description="Signs what browsers send back; empty: made in `KEY_DIR`.")
    token_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (), description="Fernet keys that encrypt tokens, newest first, by commas; empty: made in `KEY_DIR`."
    )
    key_dir: Path = Field(Path("instance"), description="Folder for keys that are made at the first start.")
    # Jobs
    jobs: Annotated[tuple[str, ...], NoDecode] = Field(("jobs",), description="Folders and modules with jobs, by commas.")
    # Output
    record_bytes: int = Field(65_536, ge=1024, le=1_048_576, description="Most bytes of output in one record.")
    pipe_bytes: int = Field(4_194_304, ge=65_536, description="Bytes of output that wait for the log; then the job waits.")
    window_bytes: int = Field(1_048_576, ge=65_536, description="Bytes sent to a viewer before it acknowledges.")

    @field_validator("allowed_origins", "jobs", "token_keys", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def load_settings(env_file: Path | None = ENV_FILE, **overrides: Any) -> Settings:
    """Read the settings; `overrides` win over the environment, which wins over `env_file`.

    Raises: ConfigError with one line that names the wrong setting.
    """
    try:
        return Settings(_env_file=env_file, **overrides)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]).upper() if first["loc"] else "settings"
        raise ConfigError(f"{name}: {first['msg']} (got {first['input']!r})") from None
