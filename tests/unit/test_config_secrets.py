"""Settings from files in /run/secrets, and those of a web server that uses a stand-in which runs already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app import config
from app.config import Settings, load_server_settings, load_settings
from app.errors import ConfigError

STORE: dict[str, Any] = {"redis_url": "redis://store:6379/0"}


@pytest.fixture(autouse=True)
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the settings are looked for."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(config, "SECRETS_DIR", tmp_path)
    return tmp_path


def test_a_file_is_a_setting(secrets: Path) -> None:
    """Its final newline does not count, and lists are separated as everywhere."""
    (secrets / "redis_password").write_text("pa55word\n")
    (secrets / "token_keys").write_text("one,two\n")
    settings = load_settings(None, **STORE)
    assert settings.redis_password.get_secret_value() == "pa55word"
    assert [key.get_secret_value() for key in settings.token_keys] == ["one", "two"]
    assert "pa55word" not in repr(settings)


def test_the_environment_wins(secrets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And so does webexintegration.env."""
    (secrets / "scope").write_text("from a secret")
    (secrets / "port").write_text("6000")
    file = tmp_path / "webexintegration.env"
    file.write_text("SCOPE=from the file\n")
    monkeypatch.setenv("PORT", "7000")
    settings = load_settings(file)
    assert (settings.scope, settings.port) == ("from the file", 7000)


def test_an_empty_file_is_no_setting(secrets: Path) -> None:
    """As an empty variable: the secret is missing, and production says so."""
    (secrets / "redis_password").write_text("\n")
    assert load_settings(None, **STORE) == load_settings(None, **STORE, redis_password="")


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * 3 + b"\x80"])
def test_a_file_that_is_no_text_is_refused(secrets: Path, content: bytes) -> None:
    """In a line that does not show it."""
    (secrets / "redis_password").write_bytes(content)
    with pytest.raises(ConfigError, match=r"cannot be read: it is no UTF-8 text") as caught:
        load_settings(None, **STORE)
    assert "\n" not in str(caught.value)


def test_a_wrong_value_is_named_and_a_secret_not_shown(secrets: Path) -> None:
    """As from the environment."""
    (secrets / "port").write_text("many")
    with pytest.raises(ConfigError, match=r"^PORT: expected a whole number from 1 to 65535, got 'many'$"):
        load_settings(None)
    (secrets / "port").unlink()
    (secrets / "secret_key").write_text("short-s3cret")
    with pytest.raises(ConfigError, match=r"^SECRET_KEY: expected at least 16 characters$"):
        load_settings(None)


def test_files_of_others_are_left_alone(secrets: Path) -> None:
    """The folder may hold what is for somebody else."""
    (secrets / "tls_key").write_text("a key")
    (secrets / "folder").mkdir()
    assert load_settings(None).port == 5000


def test_a_password_without_its_server_is_refused() -> None:
    """The embedded Valkey has no password."""
    with pytest.raises(ConfigError, match=r"^REDIS_URL: missing, but REDIS_PASSWORD is set"):
        load_settings(None, redis_password="pa55word")


def test_a_stand_in_that_runs_already_is_the_provider() -> None:
    """Without CLIENT_ID a web server uses it, and browsers are sent where they reach it."""
    addresses = {"stand_in_url": "http://webex:8001/v1", "stand_in_public_url": "http://localhost:5000/webex/v1"}
    settings = load_server_settings(None, **STORE, **addresses)
    assert settings.client_id
    assert settings.provider_url == "http://webex:8001/v1"
    assert settings.provider_public_url == "http://localhost:5000/webex/v1"
    assert settings.revocation_url == "http://webex:8001/v1/revoke"
    assert "stand-in" in settings.provider_name
    near = load_server_settings(None, **STORE, stand_in_url="http://webex:8001/v1")
    assert near.provider_public_url == "http://webex:8001/v1"


def test_with_credentials_there_is_no_stand_in() -> None:
    """The real provider is asked, whatever runs beside."""
    credentials = {"client_id": "an-id", "client_secret": "a-secret", "stand_in_url": "http://webex:8001/v1"}
    settings = load_server_settings(None, **STORE, **credentials)
    assert (settings.client_id, settings.provider_name) == ("an-id", "Webex")
    assert settings.provider_url.startswith("https://")


def test_production_has_no_stand_in() -> None:
    """Where anybody could be anybody."""
    with pytest.raises(ConfigError, match=r"^CLIENT_ID: missing"):
        load_server_settings(None, **STORE, environment="production", stand_in_url="http://webex:8001/v1")
