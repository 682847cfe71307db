"""A program at the HTTP API: with a token that a person has made on the page, reading streams as they come."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import requests

from tests.waiting import wait_until

ROW = re.compile(r'data-token="([^"]+)"')
SECRET = re.compile(r"frt_[A-Za-z0-9_-]{43}")
ALL = ("read", "run", "stop", "code", "channels")


def make_token(url: str, person: requests.Session, *scopes: str, name: str = "a test", days: int = 1) -> str:
    """A token that the person makes on the page."""
    form = {"name": name, "days": str(days), "scope": list(scopes or ALL)}
    page = person.post(f"{url}/tokens", data=form, timeout=20)
    assert page.ok, page.text
    found = SECRET.search(page.text)
    assert found, page.text
    return found[0]


def revoke_tokens(url: str, person: requests.Session, name: str) -> None:
    """Revoke the person's tokens of that name, on the page."""
    rows = person.get(f"{url}/tokens", timeout=20).text.split("<tr")
    for token in [ROW.findall(row)[0] for row in rows if f"<td>{name}</td>" in row]:
        person.post(f"{url}/tokens/{token}/revoke", timeout=20)


class Api:
    """Calls with a token, or with a person's cookies."""

    def __init__(self, url: str, token: str = "", person: requests.Session | None = None) -> None:
        self.home, self.url, self.token = url, f"{url}/api/v1.0", token
        self.http = person or requests.Session()
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def ask(self, path: str, method: str = "GET", **options: Any) -> requests.Response:
        """The answer, whatever it is."""
        headers = {**self.headers, **options.pop("headers", {})}
        return self.http.request(method, self.url + path, headers=headers, timeout=30, **options)

    def get(self, path: str, **options: Any) -> Any:
        """What a good answer has."""
        answer = self.ask(path, **options)
        assert answer.ok, answer.text
        return answer.json()

    def post(self, path: str, **options: Any) -> Any:
        """What a good answer to a POST has."""
        return self.get(path, method="POST", **options)

    def wrong(self, status: int, code: str, path: str, **options: Any) -> dict[str, Any]:
        """The problem document of an answer that is no good one."""
        answer = self.ask(path, **options)
        assert answer.status_code == status, (answer.status_code, answer.text)
        assert answer.headers["Content-Type"] == "application/problem+json"
        document: dict[str, Any] = answer.json()
        assert document["code"] == code, document
        assert document["status"] == status
        assert document["type"].endswith(f"#{code}")
        assert document["detail"]
        assert "Traceback" not in answer.text
        return document

    def start(self, job: str, key: str = "", **params: Any) -> str:
        """Start a job; the run's id."""
        headers = {"Idempotency-Key": key} if key else {}
        run: str = self.post("/runs", json={"job": job, "params": params}, headers=headers)["id"]
        return run

    def stop(self, run: str) -> None:
        """Stop a run, and wait for its end."""
        self.post(f"/runs/{run}/stop")
        self.wait_end(run)

    def wait_end(self, run: str) -> dict[str, Any]:
        """Wait for a run's end; its record."""
        wait_until(lambda: self.get(f"/runs/{run}")["ended"], f"run {run} does not end", seconds=60, pause=0.1)
        record: dict[str, Any] = self.get(f"/runs/{run}")
        return record

    def output(self, run: str, query: str = "") -> bytes:
        """A run's output as bytes, until its end."""
        answer = self.ask(f"/runs/{run}/output{query}")
        assert answer.ok, answer.text
        return answer.content

    def stream(self, path: str, **options: Any) -> Stream:
        """An answer that goes on, read as it comes."""
        answer = self.http.get(
            self.url + path, headers={**self.headers, **options.pop("headers", {})}, stream=True, timeout=60, **options
        )
        assert answer.ok, answer.text
        return Stream(answer)


class Stream:
    """An answer that goes on."""

    def __init__(self, answer: requests.Response) -> None:
        self.answer = answer
        self._lines = answer.iter_lines(chunk_size=None)

    def records(self) -> Iterator[dict[str, Any]]:
        """NDJSON's objects."""
        for line in self._lines:
            yield json.loads(line)

    def objects(self) -> Iterator[dict[str, Any]]:
        """JSON objects with nothing between them."""
        decoder, text = json.JSONDecoder(), ""
        for chunk in self.answer.iter_content(None):
            text += chunk.decode()
            while text:
                try:
                    found, end = decoder.raw_decode(text)
                except ValueError:
                    break
                yield found
                text = text[end:]

    def events(self) -> Iterator[dict[str, Any]]:
        """Server-Sent Events: `id`, `event`, `data` (as JSON), `retry`; comments are `{"comment": text}`."""
        event: dict[str, Any] = {}
        for line in self._lines:
            name, _, value = line.decode().partition(":")
            if not line:
                if event:
                    yield event
                event = {}
            elif not name:
                event["comment"] = value
            else:
                value = value.removeprefix(" ")
                event[name] = json.loads(value) if name == "data" else value

    def close(self) -> None:
        """Leave in the midst."""
        self.answer.close()
