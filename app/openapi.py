"""The OpenAPI 3.1 description of the HTTP API, made from its doors, their marks and models; and its page for people."""

from __future__ import annotations

import inspect
import re
from http import HTTPStatus
from typing import Any

from flask import Flask, render_template
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from werkzeug.routing import Rule

from app import __version__, errors, rights
from app.api_models import RUN_ID, Problem
from app.operations import MARK, Operation
from app.problems import REFUSED, TYPE
from app.values import NAME_PATTERN

TITLE = "Flask-Realtime"
TEXT = (
    "Jobs, runs and their live output. A program sends a personal access token, which is made on the page /tokens: "
    "Authorization: Bearer frt_...; the pages' own cookie serves as well, but not where another site sends it. "
    "Errors are problem documents (RFC 9457)."
)
# What any of these doors may answer.
ALWAYS = (400, 401, 403, 500, 503)
BODY_ERRORS = (413, 415)
# Said by gunicorn or nginx, before any door, and so no problem document.
TOO_LONG = {"414": {"description": "The address is longer than 8,190 bytes."}}
PATTERNS = {"run_id": RUN_ID, "name": r"^[A-Za-z0-9_-]{1,200}$", "channel": NAME_PATTERN}
# The endings of addresses that have several forms.
FORMS = {"api.output": r"^(raw|sse|ndjson)$", "channels.stream": r"^(json|sse|ndjson)$"}
_SCHEMAS = "#/components/schemas/"
# Of Server-Sent Events each is described, and not the text that they make together.
_EVENT = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "event": {"type": "string"},
        "data": {"type": "string"},
        "retry": {"type": "integer"},
    },
    "required": ["data"],
}


def describe(app: Flask) -> dict[str, Any]:
    """The description, as a JSON object."""
    marked = _marked(app)
    models = {Problem} | {each for _, _, mark in marked for each in (mark.body, mark.answer) if each}
    ordered = sorted(models, key=lambda model: model.__name__)
    _, schemas = models_json_schema([(each, "validation") for each in ordered], ref_template=_SCHEMAS + "{model}")
    paths: dict[str, Any] = {}
    for rule, view, mark in marked:
        for method in sorted(rule.methods - {"HEAD", "OPTIONS"} if rule.methods else ()):
            path = re.sub(r"<(\w+)>", r"{\1}", rule.rule)
            paths.setdefault(path, {})[method.lower()] = _operation(rule, view, mark)
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": __version__, "description": TEXT},
        "servers": [{"url": app.config.get("APPLICATION_ROOT") or "/"}],
        "security": [{"token": []}, {"session": []}],
        "paths": paths,
        "components": {
            "schemas": schemas.get("$defs", {}),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "A personal access token."},
                "session": {"type": "apiKey", "in": "cookie", "name": app.config["SESSION_COOKIE_NAME"]},
            },
        },
    }


def page(app: Flask) -> str:
    """The description as a page."""
    return render_template("api.html", api=describe(app), errors=_errors())


def _errors() -> list[tuple[str, int, str]]:
    """The codes of problem documents, each with its status and a sentence: where their `type` leads to."""
    tree = [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, errors.RealtimeError)]
    own = {each.code: (each.http_status, (inspect.getdoc(each) or "").split("\n\n")[0]) for each in tree}
    http = {code: (status, text) for status, (code, text) in REFUSED.items()}
    return [(code, *told) for code, told in sorted({**own, **http}.items()) if code != errors.ConfigError.code]


def _marked(app: Flask) -> list[tuple[Rule, Any, Operation]]:
    found = []
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        mark = getattr(view, MARK, None)
        if mark is not None:
            found.append((rule, view, mark))
    return sorted(found, key=lambda each: (each[0].rule, each[0].endpoint))


def _operation(rule: Rule, view: Any, mark: Operation) -> dict[str, Any]:
    summary, _, description = (inspect.getdoc(view) or "").partition("\n")
    name = rule.endpoint.rpartition(".")[2]
    action = rights.DOORS[f"http:{rule.endpoint}"]
    scope = rights.SCOPES.get(action)
    described: dict[str, Any] = {
        "operationId": f"{name}_{'in_form' if 'form' in rule.arguments else 'by_accept'}"
        if rule.endpoint in FORMS
        else name.rstrip("_"),
        "summary": summary,
        "description": " ".join(description.split()),
        "x-scope": str(scope) if scope else "",
        "parameters": [*_in_path(rule), *_in_query(mark.query), *_in_header(mark), *_in_cookie(mark)],
        "responses": _responses(mark),
    }
    if mark.body is not None:
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": _ref(mark.body)}}}
    return described


def _in_path(rule: Rule) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "pattern": pattern}}
        for name in sorted(rule.arguments)
        for pattern in (FORMS[rule.endpoint] if name == "form" else PATTERNS[name],)
    ]


def _in_query(model: type[BaseModel]) -> list[dict[str, Any]]:
    schema = model.model_json_schema(ref_template=_SCHEMAS + "{model}")
    found = []
    for name, part in schema.get("properties", {}).items():
        inner = _inlined(_without_null(part), schema.get("$defs", {}))
        description = inner.pop("description", "")
        found.append({"name": name, "in": "query", "required": False, "description": description, "schema": inner})
    return found


def _inlined(part: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(part, dict):
        if "$ref" in part:
            return definitions[part["$ref"].removeprefix(_SCHEMAS)]
        return {name: _inlined(each, definitions) for name, each in part.items() if name != "title"}
    return [_inlined(each, definitions) for each in part] if isinstance(part, list) else part


def _without_null(part: dict[str, Any]) -> dict[str, Any]:
    """An option that may be left out is no option that may be null."""
    kinds = [each for each in part.get("anyOf", ()) if each.get("type") != "null"]
    rest = {name: each for name, each in part.items() if name not in ("anyOf", "default", "title")}
    return {**kinds[0], **rest} if kinds else {**rest, **({"default": part["default"]} if "default" in part else {})}


def _in_header(mark: Operation) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "header",
            "required": False,
            "description": text,
            "schema": {"type": "string", **({"pattern": pattern} if pattern else {})},
        }
        for name, (text, pattern) in mark.headers.items()
    ]


def _in_cookie(mark: Operation) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "cookie", "required": False, "description": text, "schema": {"type": "string"}}
        for name, text in mark.cookies.items()
    ]


def _responses(mark: Operation) -> dict[str, Any]:
    good: dict[str, Any] = {"description": HTTPStatus(mark.status).phrase}
    if mark.content:
        good["content"] = {kind: {"schema": _ref(mark.answer) if mark.answer else _any(kind)} for kind in mark.content}
    errors = {*ALWAYS, *mark.errors, *(BODY_ERRORS if mark.body else ())}
    told = {
        str(status): {
            "description": HTTPStatus(status).phrase,
            "content": {TYPE: {"schema": _ref(Problem)}},
            **({"headers": {"Retry-After": {"schema": {"type": "integer"}}}} if status in (429, 503) else {}),
        }
        for status in sorted(errors)
    }
    empty = {"204": {"description": mark.nothing}} if mark.nothing else {}
    return {str(mark.status): good, **empty, **told, **TOO_LONG}


def _any(kind: str) -> dict[str, Any]:
    """An answer without a model: text, events, or one JSON value after the other."""
    if kind == "text/event-stream":
        return _EVENT
    return {} if kind == "application/json" else {"type": "string"}


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _SCHEMAS + model.__name__}
