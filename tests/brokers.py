"""Real brokers for Celery runs: a RabbitMQ node and a Valkey, each processes that a test may end or freeze."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from amqp import Connection

from tests.killable import Valkey
from tests.serving import free_port

RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
# One scheduler and no spinning: tests share their processors.
ERLANG = "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none"
START_SECONDS = 90.0
# The common queue at the broker.
QUEUE = "realtime.default"
CONFIG = """
listeners.tcp.1 = 127.0.0.1:{port}
disk_free_limit.absolute = 1MB
log.file = false
log.console = true
log.console.level = warning
"""


class Broker(Protocol):
    """What tests do with a broker; `settings` are those of a server that uses it."""

    settings: dict[str, str]

    def start(self) -> None:
        """Start it, with what it kept."""

    def kill(self) -> None:
        """End it without a warning."""


class RabbitBroker:
    """A RabbitMQ node in `folder`, on free ports, with a port mapper of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.port, epmd_port = folder, free_port(), free_port()
        self.settings = {"BROKER_HOST": "127.0.0.1", "BROKER_PORT": str(self.port)}
        (folder / "rabbitmq.conf").write_text(CONFIG.format(port=self.port))
        (folder / "plugins").write_text("[].")
        self._environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(folder),
            "ERL_EPMD_PORT": str(epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"test{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": ERLANG,
        }
        # Else RabbitMQ would leave one behind that outlives it.
        self._mapper = subprocess.Popen(
            ["epmd"], env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.start()

    def start(self) -> None:
        """As Broker.start."""
        with (self._folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [RABBITMQ], env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            assert self.process.poll() is None, (self._folder / "log").read_text()
            assert time.monotonic() < deadline, (self._folder / "log").read_text()
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            with self.connect():
                return True
        except OSError:
            return False

    def connect(self) -> Connection:
        """A client of the test's own, for putting anything into its queues."""
        connection = Connection(f"127.0.0.1:{self.port}", connect_timeout=5)
        connection.connect()
        return connection

    def freeze(self) -> None:
        """It stands still; connections to it stay open."""
        os.killpg(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        os.killpg(self.process.pid, signal.SIGCONT)

    def kill(self) -> None:
        """As Broker.kill."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        while True:
            # Its node's name is free again once the mapper has seen the end of its connection.
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)):
                    return

    def close(self) -> None:
        """End it, and its port mapper."""
        self.kill()
        self._mapper.kill()
        self._mapper.wait()

    def put(self, queue: str, body: bytes, **properties: Any) -> None:
        """Put a message of any kind into a queue."""
        import amqp

        with self.connect() as connection:
            channel = connection.channel()
            channel.queue_declare(queue, durable=True, auto_delete=False)
            channel.basic_publish(amqp.Message(body, **properties), routing_key=queue)

    def waiting(self, queue: str) -> int:
        """How many messages wait in a queue."""
        with self.connect() as connection:
            return int(connection.channel().queue_declare(queue, durable=True, auto_delete=False).message_count)

    def purge(self) -> None:
        """Lose all messages of the common queue."""
        with self.connect() as connection:
            channel = connection.channel()
            channel.queue_declare(QUEUE, durable=True, auto_delete=False)
            channel.queue_purge(QUEUE)


class RedisBroker(Valkey):
    """A Valkey as broker, by TCP."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.settings = {"BROKER_URL": f"redis://127.0.0.1:{self.port}/1"}

    def client(self) -> Any:
        """As Valkey.client, of the broker's database."""
        import redis

        return redis.Redis(unix_socket_path=str(self.socket), protocol=2, db=1)

    def close(self) -> None:
        """End it."""
        self.kill()

    def put(self, queue: str, body: bytes, **properties: Any) -> None:
        """Put anything into a queue; with properties in the envelope that a message has there."""
        envelope = {
            "body": base64.b64encode(body).decode(),
            "content-type": properties.get("content_type"),
            "content-encoding": properties.get("content_encoding"),
            "headers": properties.get("application_headers"),
            "properties": {
                "body_encoding": "base64",
                "delivery_info": {"exchange": "", "routing_key": queue},
                "delivery_tag": str(uuid.uuid4()),
            },
        }
        with self.client() as client:
            client.lpush(queue, json.dumps(envelope) if properties else body)

    def waiting(self, queue: str) -> int:
        """How many messages wait in a queue."""
        with self.client() as client:
            return int(client.llen(queue))

    def purge(self) -> None:
        """Lose all messages, and what the broker knows of its queues."""
        with self.client() as client:
            client.flushdb()


KINDS: dict[str, Callable[[Path], Any]] = {"rabbitmq": RabbitBroker, "redis": RedisBroker}


@pytest.fixture(scope="session", params=KINDS)
def _running_broker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    running = KINDS[request.param](tmp_path_factory.mktemp("broker"))
    yield running
    running.close()


@pytest.fixture
def broker(_running_broker: Any) -> Any:
    """A broker, once of each kind; started once for all tests, and up before each."""
    if _running_broker.process.poll() is not None:
        _running_broker.start()
    return _running_broker
