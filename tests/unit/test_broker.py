"""The broker's settings, and what is said where there is none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from app.broker import at_broker, broker_url, in_store, missing
from app.catalog import Catalog
from app.config import load_settings
from app.errors import ConfigError
from tests.serving import ROOT


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({"broker_host": "rabbit"}, "amqp://guest:guest@rabbit:5672//"),
        ({"broker_host": "::1", "broker_port": 5673}, "amqp://guest:guest@[::1]:5673//"),
        ({"broker_host": "h", "broker_user": "a@b", "broker_password": "p/w:%"}, "amqp://a%40b:p%2Fw%3A%25@h:5672//"),
        ({"broker_url": "amqps://u:p@h/v"}, "amqps://u:p@h/v"),
        ({"broker_url": "amqp://h", "broker_user": "u", "broker_password": "p"}, "amqp://u:p@h"),
        ({"broker_url": "redis://h:6380/1"}, "redis://h:6380/1"),
        ({"broker_url": "redis://h/1", "broker_password": "p@w"}, "redis://:p%40w@h/1"),
        ({"broker_url": "redis://u@h/1", "broker_password": "p"}, "redis://u:p@h/1"),
        ({"broker_url": "unix:///run/redis.sock"}, "redis+socket:///run/redis.sock"),
        ({"broker_url": "unix:///run/redis.sock", "broker_password": "p"}, "redis+socket://:p@/run/redis.sock"),
    ],
)
def test_the_address_has_what_the_settings_say(settings: dict[str, object], url: str) -> None:
    """Names and passwords of any characters; a password in an address is that address's own."""
    made = load_settings(None, **settings)
    assert broker_url(made) == url
    assert missing(made) == ""


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"broker_host": "h", "broker_url": "redis://h/1"}, "BROKER_URL: set, but BROKER_HOST is set too"),
        ({"broker_host": "no host"}, "BROKER_HOST: expected a host name"),
        ({"broker_url": "http://user:hidden-secret@h/1"}, "BROKER_URL: expected an address such as amqp://"),
        ({"broker_url": "redis://"}, "BROKER_URL: expected an address"),
        ({"broker_port": 0}, "BROKER_PORT: expected a whole number from 1 to 65535"),
        ({"worker_runs": 0}, "WORKER_RUNS: expected a whole number from 1 to 1000"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, object], said: str) -> None:
    """In one line, without a password."""
    with pytest.raises(ConfigError) as caught:
        load_settings(None, **settings)
    assert str(caught.value).startswith(said)
    assert "hidden-secret" not in str(caught.value)


def test_a_password_is_hidden_in_logs() -> None:
    """That of the setting, and that of the address."""
    assert load_settings(None, broker_password="long-password").secrets == ("long-password",)
    assert load_settings(None, broker_url="redis://:long-password@h/1").secrets == ("long-password",)


def test_queues_have_a_name_in_the_store_and_one_at_the_broker() -> None:
    """The two lead to each other."""
    assert at_broker("celery:gpu") == "realtime.gpu"
    assert in_store("realtime.gpu") == "celery:gpu"


def test_without_a_broker_a_celery_job_says_which_setting_is_missing(tmp_path: Path) -> None:
    """It shows as broken, and the others are well."""
    (tmp_path / "there.py").write_text(
        "from app.catalog import job\n@job(executor='celery')\ndef there(): ...\n@job\ndef here(): ...\n"
    )
    settings = load_settings(None, jobs=str(tmp_path))
    catalog = Catalog(settings, executors=("thread",), lacking={"celery": missing(settings)})
    errors = {each.name: each.error for each in catalog.jobs()}
    assert errors["here"] is None
    assert 'executor "celery" is not available here; set BROKER_HOST' in (errors["there"] or "")


@pytest.mark.parametrize(
    ("options", "settings", "said"),
    [
        ((), {}, "BROKER_HOST: missing; a worker hears of runs by a broker"),
        (("--queues", "a b"), {"BROKER_HOST": "h"}, "--queues: expected names"),
        (("--queues", ","), {"BROKER_HOST": "h"}, "--queues: expected names"),
        (("--runs", "0"), {"BROKER_HOST": "h"}, "WORKER_RUNS: expected"),
    ],
)
def test_a_worker_that_cannot_start_says_why(
    options: tuple[str, ...], settings: dict[str, str], said: str, tmp_path: Path
) -> None:
    """One line, exit code 2."""
    base = {"REDIS_URL": "redis://127.0.0.1:1", "CLIENT_ID": "a", "CLIENT_SECRET": "b", "KEY_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "app", "worker", *options],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **base, **settings},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1
