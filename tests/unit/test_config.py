"""Settings: wrong, huge, hostile and contradicting values end in one line that names the setting and no secret."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.config import Settings, load_server_settings, load_settings
from app.errors import ConfigError
from scripts import settings_doc

ROOT = Path(__file__).parents[2]
PRODUCTION: dict[str, Any] = {
    "environment": "production",
    "client_id": "an-id",
    "client_secret": "a-secret",
    "secret_key": "k" * 32,
    "token_keys": "a-key",
    "redis_url": "redis://store:6379/0",
    "redirect_uri": "https://console.example/redirect",
}


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def _complaint(**values: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        load_settings(None, **values)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 250
    return text


def test_defaults_are_enough_for_a_bare_machine() -> None:
    """Without any setting the product starts on localhost, and visitors come back to the port in use."""
    settings = load_settings(None)
    assert (settings.host, settings.port, settings.redirect_uri) == (
        "127.0.0.1",
        5000,
        "http://localhost:5000/redirect",
    )
    assert settings.origins == ("http://localhost:5000",)


def test_redirect_uri_follows_the_port() -> None:
    """A changed PORT changes the address that visitors use, unless REDIRECT_URI says another one."""
    assert load_settings(None, port=8080).redirect_uri == "http://localhost:8080/redirect"
    other = load_settings(None, port=8080, redirect_uri="https://console.example/redirect")
    assert other.origins == ("https://console.example",)


def test_environment_wins_over_the_file_and_empty_values_count_as_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file gives values, the environment others, and an empty variable hides nothing."""
    file = tmp_path / "webexintegration.env"
    file.write_text("PORT=7001\nHOST=::1\nSCOPE=\n# a comment\nexport PROVIDER_NAME='My Webex'\n")
    monkeypatch.setenv("PORT", "7002")
    monkeypatch.setenv("HOST", "")
    settings = load_settings(file)
    assert (settings.port, settings.host, settings.provider_name) == (7002, "::1", "My Webex")
    assert settings.scope == "spark:all spark:kms"


def test_settings_cannot_be_changed() -> None:
    """A setting stays what it was at the start."""
    settings = load_settings(None)
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1  # type: ignore[misc] # that it may not be done is what this tries


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("port", "abc", "a whole number from 1 to 65535"),
        ("port", "0", "a whole number from 1 to 65535"),
        ("port", "65536", "a whole number from 1 to 65535"),
        ("port", "5000.5", "a whole number"),
        ("port", "9" * 10_000, "a whole number"),
        ("port", "1e3\n\x1b[31m\u202e", "a whole number"),
        ("redis_timeout", "nan", "a number from 0.1 to 60"),
        ("redis_timeout", "inf", "a number from 0.1 to 60"),
        ("record_bytes", "-1", "a whole number from 1024"),
        ("environment", "prod", "development or production"),
        ("environment", "PRODUCTION", "development or production"),
        ("async_stack", "gevent", "eventlet or threading"),
        ("host", "a b", "a host name or an IP address"),
        ("host", "-", "a host name or an IP address"),
        ("host", "x\nSECRET_KEY=1", "a host name or an IP address"),
        ("redirect_uri", "http://localhost:5000/", "ends in /redirect"),
        ("redirect_uri", "javascript://x/redirect", "https://host.example/redirect"),
        ("redirect_uri", "/redirect", "https://host.example/redirect"),
        ("redirect_uri", "http://h:99999/redirect", "https://host.example/redirect"),
        ("redirect_uri", "http://h/redirect?next=http://evil", "ends in /redirect"),
        ("provider_url", "webexapis.com/v1", "an address such as https://"),
        ("provider_url", "file:///etc/passwd", "an address such as https://"),
        ("provider_url", "http://[::1/v1", "an address such as https://"),
        ("provider_url", "http://user:pa55word@h/v1", "without user, password"),
        ("revocation_url", "https://h/ \r\nX: y", "an address such as https://"),
        ("allowed_origins", "*", "an address such as https://"),
        ("allowed_origins", "https://a.example,https://b.example/path", "without a path"),
        ("cors_origins", "*", "an address such as https://"),
        ("cors_origins", "null", "an address such as https://"),
        ("cors_origins", "https://a.example, https://b.example/path", "without a path"),
        ("celery_echo_seconds", "61", "from 0 to 60"),
        ("redis_url", "http://store", "redis://host:6379/0"),
        ("redis_url", "unix://", "redis://host:6379/0"),
        ("jobs", 5, "texts separated by commas"),
    ],
)
def test_a_wrong_value_names_the_setting_and_what_is_expected(name: str, value: object, wanted: str) -> None:
    """Whatever stands in a setting, the complaint is one short printable line."""
    text = _complaint(**{name: value})
    assert text.startswith(f"{name.upper()}: expected ")
    assert wanted in text
    assert text.isprintable()


@pytest.mark.parametrize(
    "values",
    [
        {"client_secret": "pa55word"},
        {"redis_url": "http://user:pa55word@store:6379"},
        {"secret_key": "pa55word"},
        {"redis_url": "redis://user:pa55word@store:port"},
        {**PRODUCTION, "client_secret": "pa55word", "token_keys": ""},
        {"provider_url": "ftp://user:pa55word@h"},
        {"secret_keys": "pa55word"},
        {"client_secret": 5_055_555, "client_id": "pa55word"},
    ],
)
def test_no_complaint_shows_a_secret(values: dict[str, object]) -> None:
    """Keys, passwords and the password within an address stay out of the message."""
    assert "pa55word" not in _complaint(**values)
    assert "5055555" not in _complaint(**values)


def test_secrets_do_not_show_in_the_settings_themselves() -> None:
    """Printing the settings, as a careless log line would, gives no key and no secret away."""
    shown = repr(load_settings(None, client_id="an-id", client_secret="pa55word", secret_key="k3y" * 9))
    assert "pa55word" not in shown
    assert "k3y" not in shown


def test_half_credentials_are_refused() -> None:
    """A client id without its secret cannot log anybody in, nor can a secret without its id."""
    assert _complaint(client_id="an-id").startswith("CLIENT_SECRET: missing")
    assert _complaint(client_secret="a-secret").startswith("CLIENT_ID: missing")


@pytest.mark.parametrize("name", ["client_id", "client_secret", "secret_key", "token_keys", "redis_url"])
def test_production_makes_nothing_up(name: str) -> None:
    """Production without one of its own keys, store or credentials does not start."""
    assert load_settings(None, **PRODUCTION).environment == "production"
    assert _complaint(**{**PRODUCTION, name: ""}).startswith(f"{name.upper()}: missing")


def test_production_without_any_credentials_names_the_first() -> None:
    """There is no stand-in in production."""
    assert _complaint(**{**PRODUCTION, "client_id": "", "client_secret": ""}).startswith("CLIENT_ID: missing")


def test_production_wants_https_but_for_this_machine() -> None:
    """Visitors' tokens do not cross a network in the clear."""
    complaint = _complaint(**{**PRODUCTION, "redirect_uri": "http://console.example/redirect"})
    assert complaint.startswith("REDIRECT_URI: expected an https address")
    assert load_settings(None, **{**PRODUCTION, "redirect_uri": "http://localhost:5000/redirect"}).port == 5000


def test_a_web_server_by_itself_needs_a_store_and_a_login(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the launcher brings an embedded store and a stand-in."""
    with pytest.raises(ConfigError, match=r"^REDIS_URL: missing"):
        load_server_settings(None)
    monkeypatch.setenv("REDIS_URL", "redis://store")
    with pytest.raises(ConfigError, match=r"^CLIENT_ID: missing"):
        load_server_settings(None)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"REDIS_ULR=redis://pa55word@x\n", "REDIS_ULR: there is no such setting; is REDIS_URL meant?"),
        (b"PORT 5000\n", "line 1 is not of the form NAME=value"),
        (b"HOST=::1\nPORT\n", "line 2 is not of the form NAME=value"),
        (b"HOST='never closed\n", "line 1 is not of the form NAME=value"),
        (b"\xff\xfePORT=1\n", "it is no UTF-8 text"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, content: bytes, complaint: str) -> None:
    """A typing error in the file is not passed over in silence."""
    file = tmp_path / "webexintegration.env"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=re.escape(complaint)):
        load_settings(file)


def test_a_folder_in_the_place_of_the_file_is_named(tmp_path: Path) -> None:
    """As docker leaves it where a file to mount is missing."""
    with pytest.raises(ConfigError, match=r"cannot be read: Is a directory"):
        load_settings(tmp_path)


def test_a_wrong_setting_ends_the_command_before_anything_starts(tmp_path: Path) -> None:
    """`python -m app` says one line on stderr, exits with 2, and has made nothing."""
    done = subprocess.run(
        [sys.executable, "-m", "app"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PORT": "many"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "PORT: expected a whole number from 1 to 65535, got 'many'\n"
    assert list(tmp_path.iterdir()) == []


def test_the_documented_settings_are_the_real_ones() -> None:
    """docs/settings.md has a row for each setting, none for another, and says what the class says."""
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([A-Z_]+)` \|", page, flags=re.MULTILINE)
    assert sorted(rows) == sorted(name.upper() for name in Settings.model_fields)
    assert page == settings_doc.settings_doc(), "run `make docs`"


def test_the_template_is_a_valid_file() -> None:
    """webexintegration.env.template, copied as it is, gives the defaults."""
    template = ROOT / "webexintegration.env.template"
    assert template.read_text(encoding="utf-8") == settings_doc.template(), "run `make docs`"
    assert load_settings(template) == load_settings(None)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_each_setting_is_described(name: str) -> None:
    """A setting without a description would be a row without a meaning."""
    description = Settings.model_fields[name].description
    assert description
    assert description.endswith(".")
