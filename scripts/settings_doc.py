"""Write `docs/settings.md` and `webexintegration.env.template` from the settings' own descriptions: `make docs`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from app.config import Settings
from app.misread import SECRET, expectation

ROOT = Path(__file__).resolve().parent.parent
DOC = ROOT / "docs" / "settings.md"
TEMPLATE = ROOT / "webexintegration.env.template"
# The settings that most installations set, in the order of the template; the others stand in the table alone.
USUAL = ("client_id", "client_secret", "redirect_uri", "scope", "environment", "secret_key", "token_keys", "redis_url")

DOC_HEAD = """# Settings

Each setting is a variable of the environment, or a line `NAME=value` in the file `webexintegration.env` of the folder
where the product is started; the environment wins. Behind both comes a file in `/run/secrets`, where container engines
put secrets: its name is the setting's in lower case, its content the value. An empty value is none. A wrong value,
an unknown name in `webexintegration.env` or a combination that cannot work ends the start with one line that names the
setting, and exit code 2.

With `ENVIRONMENT=production` nothing is made up: `CLIENT_ID`, `CLIENT_SECRET`, `SECRET_KEY`, `TOKEN_KEYS` and
`REDIS_URL` are needed, and `REDIRECT_URI` must be https unless it is that of this machine. Keys for the two settings
that want them:

    python -c "import secrets; print(secrets.token_urlsafe(32))"                                    # SECRET_KEY
    python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"       # TOKEN_KEYS

This page is made from the descriptions in `app/config.py` by `make docs`.

| Setting | Value | Unit | Default | Meaning |
|---|---|---|---|---|
"""
TEMPLATE_HEAD = """\
# Copy this file to webexintegration.env and fill in what you need; docs/settings.md has every setting.
# Without CLIENT_ID a local stand-in for Webex is used. An integration is made at developer.webex.com.
"""


def main() -> int:
    """Write both files; returns the exit code."""
    DOC.write_text(settings_doc(), encoding="utf-8")
    TEMPLATE.write_text(template(), encoding="utf-8")
    return 0


def settings_doc() -> str:
    """The text of `docs/settings.md`."""
    return DOC_HEAD + "".join(_rows())


def template() -> str:
    """The text of `webexintegration.env.template`."""
    fields = Settings.model_fields
    return TEMPLATE_HEAD + "".join(f"\n# {fields[name].description}\n{name.upper()}=\n" for name in USUAL)


def _rows() -> Iterator[str]:
    for name, field in Settings.model_fields.items():
        extra = field.json_schema_extra
        unit = extra["unit"] if isinstance(extra, dict) else ""
        secret = ", secret" if name in SECRET else ""
        wanted = f"{expectation(Settings, name)}{secret}"
        yield f"| `{name.upper()}` | {wanted} | {unit} | {_default(field)} | {field.description} |\n"


def _default(field: FieldInfo) -> str:
    value = field.default
    if field.default_factory is not None or isinstance(value, SecretStr):
        return ""
    text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return f"`{text}`" if text else ""


if __name__ == "__main__":
    sys.exit(main())
