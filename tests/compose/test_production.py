"""docker-compose.yml, set up as docs/deployment.md says: TLS, secrets as files, nothing of this folder mounted."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.certificates import write_certificate
from tests.compose.project import ENVIRONMENT, Project, clean_clone, docker
from tests.serving import ROOT, USERS, free_port
from tests.waiting import wait_until

pytestmark = pytest.mark.timeout(1500)
SERVICES = ("redis", "flask", "runner", "nginx")


class Production(Project):
    """The project with its address, its certificate, and its provider."""

    url = ""
    certificate = ""

    def visitor(self) -> requests.Session:
        """Somebody whose browser trusts the certificate."""
        person = requests.Session()
        person.trust_env = False
        person.verify = self.certificate
        return person

    def log_in(self) -> requests.Session:
        """Somebody who is logged in."""
        person = self.visitor()
        page = person.get(self.url, timeout=20)
        email = USERS.findall(page.text)[0]
        answer = person.post(page.url, data={"user": email, "decision": "allow"}, timeout=20)
        assert answer.url == f"{self.url}/", answer.text
        return person

    def answers(self) -> bool:
        """Whether the console answers."""
        try:
            return self.visitor().get(f"{self.url}/healthz", timeout=5).ok
        except requests.RequestException:
            return False


def _commands() -> str:
    """What the page tells people to run for their secrets."""
    page = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    found = re.search(r"```sh\n(# secrets\n.*?)```", page, re.DOTALL)
    assert found
    return found[1]


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    """The project, prepared by the page's own commands and brought up."""
    folder: Path = tmp_path_factory.mktemp("production") / "clone"
    with clean_clone(folder, "production-test", "docker-compose.yml", "tests/compose/stand-in.yml") as clone:
        production = Production(clone.folder, clone.name, *clone.files)
        subprocess.run(["sh", "-eu", "-c", _commands()], cwd=folder, check=True, env=ENVIRONMENT)
        secrets = folder / "secrets"
        write_certificate(secrets / "tls_certificate", secrets / "tls_key")
        (secrets / "client_secret").write_text("a-client-secret\n")
        https, http, provider = free_port(), free_port(), free_port()
        production.url = f"https://localhost:{https}"
        production.certificate = str(secrets / "tls_certificate")
        (folder / ".env").write_text(
            f"SERVER_NAME=localhost\nCLIENT_ID=an-id\nREDIRECT_URI={production.url}/redirect\n"
            f"HTTP_PORT={http}\nHTTPS_PORT={https}\n"
        )
        for one in (clone, production):
            one.environment["PROVIDER_PORT"] = str(provider)
        production.compose("up", "-d", "--build", "--wait", seconds=1200)
        yield production


def test_without_its_settings_it_does_not_start(tmp_path: Path) -> None:
    """What is missing is named, and where it is explained."""
    with clean_clone(tmp_path / "clone", "nothing-test", "docker-compose.yml") as project:
        said = project.compose("up", "-d", check=False)
        assert "required variable" in said
        assert "docs/deployment.md" in said
        assert project.left() == []


def test_it_is_what_was_built(production: Production) -> None:
    """Secrets alone are mounted from this folder, each for whom it is for; data and archive have volumes."""
    mounts = {
        service: {mount["Destination"] for mount in production.inspect(service)["Mounts"] if mount["Type"] == "bind"}
        for service in SERVICES
    }
    names = {
        "redis": {"redis_password"},
        "flask": {"redis_password", "client_secret", "secret_key", "token_keys", "broker_password"},
        "runner": {"redis_password", "client_secret", "secret_key", "token_keys", "broker_password"},
        "nginx": {"tls_certificate", "tls_key"},
    }
    assert mounts == {service: {f"/run/secrets/{name}" for name in names[service]} for service in SERVICES}
    volumes = {
        service: [mount["Destination"] for mount in production.inspect(service)["Mounts"] if mount["Type"] == "volume"]
        for service in SERVICES
    }
    assert volumes == {"redis": ["/data"], "flask": ["/srv/archive"], "runner": ["/srv/archive"], "nginx": []}
    said = production.compose(
        "exec", "-T", "flask", "sh", "-c", "touch archive/trial && rm archive/trial && stat -c '%a %U' archive"
    )
    assert said.split() == ["700", "app"]


def test_no_secret_stands_in_an_environment(production: Production) -> None:
    """The engine's own record of the containers has none either."""
    secrets = [file.read_text().strip() for file in (production.folder / "secrets").iterdir()]
    assert len(secrets) == 7
    for service in SERVICES:
        said = docker("inspect", f"{production.name}-{service}-1")
        assert not [secret for secret in secrets if secret in said]


def test_login_and_pages_by_tls(production: Production) -> None:
    """The whole login with Secure cookies, HSTS on each answer, and HTTP that leads to HTTPS."""
    wait_until(production.answers, "the console does not answer")
    person = production.log_in()
    page = person.get(f"{production.url}/jobs/count", timeout=20)
    assert 'id="start"' in page.text
    assert page.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert [cookie.name for cookie in person.cookies if not cookie.secure and cookie.path == "/"] == []
    port = production.inspect("nginx")["HostConfig"]["PortBindings"]["8080/tcp"][0]["HostPort"]
    moved = requests.get(f"http://localhost:{port}/jobs/count", timeout=10, allow_redirects=False)
    assert (moved.status_code, moved.headers["Location"]) == (308, f"{production.url}/jobs/count")


def test_a_new_certificate_is_taken_over(production: Production) -> None:
    """Written over the old one, as the page says, and reloaded: visitors get the new one."""
    secrets = production.folder / "secrets"
    write_certificate(secrets / "tls_certificate", secrets / "tls_key")
    with pytest.raises(requests.exceptions.SSLError):
        production.visitor().get(f"{production.url}/healthz", timeout=10)
    production.compose("exec", "-T", "nginx", "/etc/nginx/site/start", "reload")
    wait_until(production.answers, "the new certificate is not in use")


def test_down_keeps_the_data_alone(production: Production) -> None:
    """The volumes stay until they are named too; a login outlives the restart of everything."""
    person = production.log_in()
    production.compose("down")
    assert sorted(production.left()) == [f"{production.name}_archive", f"{production.name}_data"]
    production.compose("up", "-d", "--wait")
    wait_until(production.answers, "the console does not answer")
    assert "Authenticated as" in person.get(production.url, timeout=20).text
    production.compose("down", "-v")
    assert production.left() == []
