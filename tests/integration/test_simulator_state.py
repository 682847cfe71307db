"""The Webex stand-in's logins outlive a restart, where a file keeps them."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from tests.integration.simulator_fixture import running_simulator
from tests.integration.test_simulator_login import _code, _me, _redeem, _refresh


def test_logins_outlive_a_restart_where_a_file_keeps_them(tmp_path: Path) -> None:
    """With --state the tokens of an earlier life are good, a revoked one is not, and the file is its owner's alone."""
    file = tmp_path / "state.json"
    with running_simulator("--state", str(file)) as first:
        kept, revoked = (_redeem(first, _code(first)).json() for _ in range(2))
        form = {"token": revoked["refresh_token"], "client_id": "C1", "client_secret": "secret"}
        assert requests.post(first.url + "/revoke", data=form, timeout=10).ok
    assert file.stat().st_mode & 0o777 == 0o600
    with running_simulator("--state", str(file)) as second:
        for tokens, status in ((kept, 200), (revoked, 401)):
            assert _me(second, tokens["access_token"]).status_code == status
        renewed = _refresh(second, kept["refresh_token"])
        assert renewed.ok, renewed.text


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"grants": 5}', '{"grants": [{}], "access": {}, "refresh": {}}'])
def test_a_senseless_state_file_is_passed_over(tmp_path: Path, content: str) -> None:
    """The stand-in starts without the logins that it cannot read."""
    file = tmp_path / "state.json"
    file.write_text(content)
    with running_simulator("--state", str(file)) as simulator:
        assert requests.get(simulator.url + "/people/me", timeout=10).status_code == 401
