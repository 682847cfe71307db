"""The broker, RabbitMQ or Redis, spoken by Celery: its messages are hints that runs wait for a worker in a queue.

The truth is in the store: who waits, in which order, and who may begin. A hint that is lost, late, doubled or forged
makes a worker look there, and does nothing else; so hints are counted, not kept
(docs/adr/0019-a-broker-carries-hints.md).
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlsplit

from app.config import Settings
from app.errors import BrokerUnavailable

TASK = "flask_realtime.take"
PREFIX = "celery:"
# At the broker, where others may have queues too.
BROKER_PREFIX = "realtime."
# A web server waits no longer than this for each step of a broker that is slow or gone.
STEP_SECONDS = 3.0
# Counted by the broker alone, whose clock need not be right. An expired hint is made anew as long as its run waits.
HINT_SECONDS = 60
# More would only wait there: a worker that has taken a run takes the next one without a hint.
MOST_HINTS = 100


def at_broker(queue: str) -> str:
    """The queue `celery:gpu` as the broker knows it."""
    return BROKER_PREFIX + queue.removeprefix(PREFIX)


def in_store(name: str) -> str:
    """The queue `realtime.gpu` of the broker as the store knows it."""
    return PREFIX + name.removeprefix(BROKER_PREFIX)


def missing(settings: Settings) -> str:
    """What Celery runs lack here, as a part of a sentence for people; "" where there is nothing."""
    if settings.broker_host or settings.broker_url:
        return ""
    return "set BROKER_HOST (RabbitMQ) or BROKER_URL (RabbitMQ or Redis)"


def broker_url(settings: Settings) -> str:
    """The broker's address as Celery wants it, with its password."""
    password = quote(settings.broker_password.get_secret_value(), safe="")
    if not settings.broker_url:
        user, host = quote(settings.broker_user, safe=""), settings.broker_host
        where = f"[{host}]" if ":" in host else host
        return f"amqp://{user}:{password or 'guest'}@{where}:{settings.broker_port}//"
    url = urlsplit(settings.broker_url)
    if url.scheme == "unix":
        return f"redis+socket://{f':{password}@' if password else ''}{url.path}"
    if url.password is None and password:
        user = url.username or ("" if url.scheme.startswith("redis") else settings.broker_user)
        return url._replace(netloc=f"{user}:{password}@{url.netloc.rpartition('@')[2]}").geturl()
    return settings.broker_url


def make_celery(settings: Settings, queues: Sequence[str] = ()) -> Any:
    """A Celery application that speaks JSON, keeps no results, and takes no orders from the broker.

    `queues` are those of the store that a worker consumes.
    """
    from celery import Celery

    url = broker_url(settings)
    app = Celery("flask_realtime", broker=url, set_as_current=False, autofinalize=True)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        broker_connection_timeout=STEP_SECONDS,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_use_ssl=_tls(url),
        task_queues=[make_queue(queue) for queue in queues],
    )
    return app


def make_queue(queue: str) -> Any:
    """The broker's queue for a queue of the store."""
    from kombu import Exchange, Queue

    name = at_broker(queue)
    return Queue(name, Exchange("realtime", type="direct"), routing_key=name)


def _tls(url: str) -> dict[str, Any] | None:
    parts = urlsplit(url)
    if parts.scheme == "rediss":
        return {"ssl_cert_reqs": ssl.CERT_REQUIRED}
    if parts.scheme == "amqps":
        return {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": parts.hostname}
    return None


class Broker:
    """A connection for publishing; one caller at a time, which it makes wait for a few seconds at most."""

    def __init__(self, settings: Settings) -> None:
        self._app = make_celery(settings)
        self._connection: Any = None
        self._by_amqp = broker_url(settings).startswith("amqp")
        self._where = _shown(settings)

    def hint(self, queue: str, run_ids: Sequence[str]) -> int:
        """Have as many messages wait in `queue` as runs do, these first; how many were added.

        Raises: BrokerUnavailable.
        """
        if self._connection is not None:
            try:
                return self._hint(queue, run_ids)
            except Exception:  # noqa: BLE001 - the libraries of the brokers have many errors, and one cure
                # It may have been closed since; a new connection tells.
                self.close()
        try:
            self._connection = self._connect()
            return self._hint(queue, run_ids)
        except Exception as error:
            self.close()
            raise BrokerUnavailable(f"The broker at {self._where} cannot be reached: {_reason(error)}") from error

    def _connect(self) -> Any:
        connection = self._app.connection_for_write(connect_timeout=STEP_SECONDS)
        options = {"socket_timeout": STEP_SECONDS, "socket_connect_timeout": STEP_SECONDS}
        if self._by_amqp:
            options = {"read_timeout": STEP_SECONDS, "write_timeout": STEP_SECONDS, "confirm_publish": True}
        connection.transport_options = {**connection.transport_options, **options}
        # Its own `connect` tries twice, and sleeps meanwhile.
        connection.ensure_connection(max_retries=0)
        return connection

    def _hint(self, queue: str, run_ids: Sequence[str]) -> int:
        declared = make_queue(queue)
        with self._connection.channel() as channel:
            bound = declared.bind(channel)
            bound.exchange.declare()
            waiting = bound.queue_declare().message_count
            bound.queue_bind()
            producer = self._app.amqp.Producer(channel, auto_declare=False)
            added = run_ids[: max(0, min(len(run_ids), MOST_HINTS) - waiting)]
            for run_id in added:
                self._app.send_task(
                    TASK, (run_id,), producer=producer, queue=declared, retry=False, ignore_result=True,
                    expiration=HINT_SECONDS,
                )  # fmt: skip
        return len(added)

    def close(self) -> None:
        """Close the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        with contextlib.suppress(Exception):
            # RabbitMQ would be asked for its leave, and kombu's way around that is a timeout for all of this process.
            raw = connection._connection
            raw.collect() if self._by_amqp else connection.release()


def _shown(settings: Settings) -> str:
    if not settings.broker_url:
        return f"{settings.broker_host}:{settings.broker_port}"
    url = urlsplit(settings.broker_url)
    return url.netloc.rpartition("@")[2] or url.path


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())[:200].rstrip(".")
    if isinstance(error, TimeoutError) or "timed out" in text or "Timeout" in text:
        return "it does not answer in time."
    return f"{text or type(error).__name__}."


def waiting_at(settings: Settings, queue: str) -> int:
    """How many hints wait at the broker for a worker of `queue`, by a connection of its own; 0 where none is known."""
    try:
        with make_celery(settings).connection_for_write(connect_timeout=STEP_SECONDS) as connection:
            connection.ensure_connection(max_retries=0)
            with connection.channel() as channel:
                return int(make_queue(queue).bind(channel).queue_declare(passive=True).message_count)
    except Exception:  # noqa: BLE001 - the libraries of the brokers have many errors, all of which say the same here
        return 0
