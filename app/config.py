"""The settings: frozen, each documented, read from the environment and `webexintegration.env` by this file alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

from app.addresses import BrokerHost, BrokerUrl
from app.errors import ConfigError
from app.misread import check_file, sentence
from app.server_settings import ServerSettings, number

ENV_FILE = Path("webexintegration.env")
# Where container engines put secrets: a file for each setting, by its name in lower case.
SECRETS_DIR = Path("/run/secrets")
SHORTEST_SECRET = 16
SHORTEST_HIDDEN = 10


class Settings(ServerSettings, BaseSettings):
    """Every setting by its name in the environment, in upper case; `docs/settings.md` is made from the descriptions."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_ignore_empty=True,
        env_file_encoding="utf-8",
        hide_input_in_errors=True,
        validate_default=False,
    )

    # Jobs
    jobs: Annotated[tuple[str, ...], NoDecode] = Field(
        ("jobs",), description="Folders and modules with jobs, separated by commas."
    )
    stop_grace: int = number(
        3, 1, 600, "seconds", "Time that runs have to end when the server is told to stop; then they are lost."
    )
    stage_seconds: float = number(
        3,
        0.05,
        600,
        "seconds",
        "Time of each stage of Stop, from asking on to what cannot be ignored.",
    )
    node_runs: int = number(100, 1, 10_000, "runs", "Most runs of a web process at one time; more of them wait.")
    runner_runs: int = number(100, 1, 10_000, "runs", "Most runs of a runner at one time; more of them wait.")
    user_runs: int = number(
        50, 0, 100_000, "runs", "Most runs of one user at one time; more of them wait. 0: any number."
    )
    user_queued: int = number(100, 1, 100_000, "runs", "Most runs of one user that wait in a queue; more are refused.")
    queue_runs: int = number(1000, 1, 100_000, "runs", "Most runs that wait in a queue; more are refused.")
    user_starts: int = number(600, 1, 1_000_000, "starts", "Most starts of one user in a minute; more are refused.")
    limit_seconds: float = number(
        86_400,
        0,
        31_536_000,
        "seconds",
        "Most time of a run, where its job says nothing else; 0: no limit.",
    )
    limit_cpu_seconds: float = number(
        0, 0, 31_536_000, "seconds", "Most computing of a run in a process, as before; 0: no limit."
    )
    limit_memory_megabytes: float = number(
        2048, 0, 16_777_216, "megabytes", "Most memory of all processes of such a run together; 0: no limit."
    )
    limit_processes: int = number(
        200, 0, 1_000_000, "", "Most processes and threads of such a run at one time; 0: no limit."
    )
    limit_files: int = number(1024, 0, 1_000_000, "files", "Most open files of each of its processes; 0: no limit.")
    limit_output_megabytes: float = number(
        0, 0, 16_777_216, "megabytes", "Most output of such a run, which then ends; 0: no limit."
    )
    runner_grace: float = number(
        10, 0, 86_400, "seconds", "Time that a runner's runs may go on after it was told to end; then they are stopped."
    )
    # Celery
    broker_host: BrokerHost = Field(
        "", description="RabbitMQ for jobs with `executor=celery`; without it or `BROKER_URL` these do not start."
    )
    broker_port: int = number(5672, 1, 65535, "", "TCP port of that RabbitMQ.")
    broker_user: str = Field("guest", description="User at the broker.")
    broker_password: SecretStr = Field(
        SecretStr(""),
        description="Password at the broker; one in `BROKER_URL` wins. Empty: RabbitMQ's own for `guest`.",
    )
    broker_url: BrokerUrl = Field(
        "",
        description="Another broker than `BROKER_HOST`: `amqp://`, `amqps://`, `redis://`, `rediss://` or `unix://`.",
    )
    worker_runs: int = number(4, 1, 1000, "runs", "Most runs of a Celery worker at one time.")
    worker_grace: float = number(
        10, 0, 86_400, "seconds", "Time that a worker's runs may go on after it was told to end; then they are stopped."
    )
    worker_deaf_seconds: float = number(
        60, 1, 86_400, "seconds", "A worker that hears nothing for so long though runs wait for it ends (exit code 3)."
    )
    celery_echo_seconds: float = number(5, 0, 60, "seconds", "Time that JSON-RPC's `celery_echo` takes: docs/rpc.md.")
    # Typed code
    code_users: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Who may run code typed in the browser: e-mail addresses, by commas; `*`: everybody. Empty: "
        "nobody; everybody under `python -m app` on a loopback `HOST`, which `nobody` switches off.",
    )
    code_network: Literal["off", "on"] = Field(
        "off", description="Whether typed code has the network, and so all that this machine reaches there."
    )
    sandbox: Literal["auto", "full", "landlock", "limits", "none"] = Field(
        "auto",
        description="The strongest wall to try around typed code: docs/sandbox.md. `auto`: what the machine grants.",
    )
    sandbox_minimum: Literal["full", "landlock", "limits", "none"] = Field(
        "landlock", description="Typed code is refused where the wall that is reached is weaker than this."
    )
    code_seconds: float = number(3600, 1, 604_800, "seconds", "Most time for a run of typed code.")
    code_cpu_seconds: int = number(600, 1, 604_800, "seconds", "Most computing of each of its processes.")
    code_memory_megabytes: int = number(512, 64, 1_048_576, "megabytes", "Most memory of such a run.")
    code_disk_megabytes: float = number(64, 1, 1_048_576, "megabytes", "Most in its folder, which goes when it ends.")
    code_processes: int = number(64, 4, 10_000, "processes", "Most processes and threads of such a run.")
    # Channels
    channels: int = number(1000, 1, 10_000, "channels", "Most channels; another one is refused.")
    # Output
    record_bytes: int = number(65_536, 1024, 1_048_576, "bytes", "Most output in one record.")
    pipe_bytes: int = number(
        4_194_304, 65_536, 1 << 30, "bytes", "Output that may wait for the log; beyond it the job waits."
    )
    hot_megabytes: float = number(
        16, 0.25, 65_536, "megabytes", "Newest output of a run that Redis holds; older output goes to the archive."
    )
    run_megabytes: float = number(
        256, 0.5, 1_048_576, "megabytes", "Most output kept of a run: half of it from the beginning, half from the end."
    )
    archive_dir: str = Field(
        "", description="Folder for older output, the same for all servers of one store; empty: `DATA_DIR/archive`."
    )
    archive_minutes: float = number(
        10, 0, 10_080, "minutes", "Time after a run's end until the rest of its output goes to the archive."
    )
    keep_days: float = number(30, 0, 36_500, "days", "How long an ended run is kept, with its output; 0: for ever.")
    keep_runs: int = number(
        1000, 0, 1_000_000, "runs", "Most runs kept of each user; the oldest that ended go first; 0: all."
    )
    search_seconds: float = number(
        2.0, 0.1, 60, "seconds", "Most time for one answer to a search; the next one goes on."
    )
    window_bytes: int = number(1_048_576, 65_536, 1 << 30, "bytes", "Output sent to a viewer before it acknowledges.")
    compression: Literal["off", "on"] = Field(
        "off", description="Compress what websockets carry: less traffic on a slow network, and slower for everybody."
    )

    @property
    def secrets(self) -> tuple[str, ...]:
        """What nobody may read in a log."""
        held = (self.client_secret, self.secret_key, self.redis_password, self.broker_password, *self.token_keys)
        found = [each.get_secret_value() for each in held]
        # A password in an address.
        found += [urlsplit(url).password or "" for url in (self.redis_url, self.broker_url)]
        # Shorter ones are no secrets, and hiding them would hide words.
        return tuple(each for each in found if len(each) > SHORTEST_HIDDEN)

    @property
    def origins(self) -> tuple[str, ...]:
        """The origins that may open the websocket; never empty."""
        visitors = urlsplit(self.redirect_uri)
        return self.allowed_origins or (f"{visitors.scheme}://{visitors.netloc}",)

    @property
    def archive_folder(self) -> Path:
        """The folder of older output."""
        return Path(self.archive_dir) if self.archive_dir else self.data_dir / "archive"

    @field_validator(
        "allowed_origins", "code_users", "cors_origins", "jobs", "token_keys", "wsgi_middleware", mode="before"
    )
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.client_id and not self.client_secret.get_secret_value():
            raise ValueError("CLIENT_SECRET: missing, but CLIENT_ID is set: the two go together")
        if self.client_secret.get_secret_value() and not self.client_id:
            raise ValueError("CLIENT_ID: missing, but CLIENT_SECRET is set: the two go together")
        if self.redis_password.get_secret_value() and not self.redis_url:
            raise ValueError("REDIS_URL: missing, but REDIS_PASSWORD is set: the embedded Valkey has none")
        if self.broker_host and self.broker_url:
            raise ValueError("BROKER_URL: set, but BROKER_HOST is set too: there is one broker")
        if self.run_megabytes < 2 * self.hot_megabytes:
            raise ValueError("RUN_MEGABYTES: expected at least twice HOT_MEGABYTES")
        if 0 < len(self.secret_key.get_secret_value()) < SHORTEST_SECRET:
            raise ValueError(f"SECRET_KEY: expected at least {SHORTEST_SECRET} characters")
        if self.environment == "production":
            self._check_production()
        return self

    def _check_production(self) -> None:
        needed = ("client_id", "client_secret", "secret_key", "token_keys", "redis_url")
        for name in needed:
            value = getattr(self, name)
            if not (value.get_secret_value() if isinstance(value, SecretStr) else value):
                raise ValueError(f"{name.upper()}: missing, and ENVIRONMENT=production makes up nothing by itself")
        visitors = urlsplit(self.redirect_uri)
        if visitors.scheme != "https" and visitors.hostname not in ("localhost", "127.0.0.1", "::1"):
            raise ValueError("REDIRECT_URI: expected an https address, since ENVIRONMENT=production")


def load_settings(env_file: Path | None = ENV_FILE, **overrides: Any) -> Settings:
    """Read the settings; `overrides` win over the environment, that over `env_file`, that over files in SECRETS_DIR.

    Empty values count as none.

    Raises: ConfigError with one line that names the wrong setting.
    """
    check_file(env_file)
    try:
        return Settings(_env_file=env_file, _secrets_dir=SECRETS_DIR if SECRETS_DIR.is_dir() else None, **overrides)
    except ValidationError as error:
        raise ConfigError(sentence(Settings, error)) from None
    except SettingsError as error:
        reason = getattr(error.__cause__, "strerror", None) or "it is no UTF-8 text"
        raise ConfigError(f"{SECRETS_DIR}: a file there cannot be read: {reason}") from None


def load_server_settings(env_file: Path | None = ENV_FILE, **overrides: Any) -> Settings:
    """The settings of a web server by itself, to which nobody brings a store; a stand-in is one that runs already.

    Raises: ConfigError as `load_settings`.
    """
    settings = load_settings(env_file, **overrides)
    if settings.stand_in_url and not settings.client_id:
        settings = load_settings(env_file, **overrides, **_stand_in(settings))
    for name in ("redis_url", "client_id"):
        if not getattr(settings, name):
            raise ConfigError(f"{name.upper()}: missing; only `python -m app` brings a store and a login of its own")
    return settings


def _stand_in(settings: Settings) -> dict[str, str]:
    return {
        "client_id": "stand-in",
        "client_secret": "stand-in",  # it takes any
        "provider_name": "Webex (stand-in)",
        "provider_url": settings.stand_in_url,
        "provider_public_url": settings.stand_in_public_url or settings.stand_in_url,
        "revocation_url": f"{settings.stand_in_url}/revoke",
    }


def bare_environment(**changes: str) -> dict[str, str]:
    """The environment for jobs in processes: this one's without any setting, and with `changes` as they are."""
    settings = {name.upper() for name in Settings.model_fields}
    return {name: value for name, value in os.environ.items() if name.upper() not in settings} | changes


def child_environment(**changes: str) -> dict[str, str]:
    """The environment for a child process: this one's with `changes`, whose names are settings in lower case."""
    return {**os.environ, **{name.upper(): value for name, value in changes.items()}}
