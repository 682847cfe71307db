"""Login as Webex does it: the page that asks for consent, the token endpoint, and revocation after RFC 7009."""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from http import HTTPStatus
from urllib.parse import unquote_plus

from aiohttp import web
from jinja2 import Environment, PackageLoader, select_autoescape
from yarl import URL

from simulator.answers import STATE, problem, single
from simulator.grants import Grant, Issued, RefusedError

_PAGES = Environment(loader=PackageLoader("simulator"), autoescape=select_autoescape(), trim_blocks=True)
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
LONGEST_QUERY = 4096


class BadQuestionError(Exception):
    """The authorize request is wrong in a way that must not be told to its redirect_uri."""


def _page(template: str, status: int = 200, **values: object) -> web.Response:
    nonce = secrets.token_urlsafe(16)
    # No form-action: browsers apply it to the redirect that follows the form as well, and that goes to the client.
    policy = f"default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; frame-ancestors 'none'"
    headers = {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
    text = _PAGES.get_template(template).render(nonce=nonce, **values)
    return web.Response(text=text, content_type="text/html", status=status, headers=headers)


def _question(request: web.Request) -> dict[str, str]:
    """The query of an authorize request; raises BadQuestionError where it says not whom to answer."""
    if len(request.query_string) > LONGEST_QUERY:
        raise BadQuestionError("The request is too long.")
    try:
        query = single(request.query.items())
    except ValueError as error:
        raise BadQuestionError(str(error)) from None
    if not query.get("client_id"):
        raise BadQuestionError("The client_id is missing.")
    try:
        target = URL(query.get("redirect_uri", ""))
    except ValueError:
        target = URL()
    if target.scheme not in ("http", "https") or not target.host or target.raw_fragment:
        raise BadQuestionError("The redirect_uri must be a whole http or https address without a fragment.")
    return query


def _mistake(query: dict[str, str]) -> str:
    """The OAuth code of what is wrong with an authorize request (RFC 6749, 4.1.2.1); empty where nothing is."""
    if query.get("response_type") != "code":
        return "unsupported_response_type"
    if not query.get("scope", "").strip():
        return "invalid_scope"
    challenge, method = query.get("code_challenge"), query.get("code_challenge_method")
    if (challenge or method) and (method != "S256" or not _CHALLENGE.fullmatch(challenge or "")):
        return "invalid_request"
    return ""


def _back(query: dict[str, str], **answer: str) -> web.Response:
    state = {"state": query["state"]} if "state" in query else {}
    target = URL(query["redirect_uri"]).update_query({**answer, **state})
    return web.Response(status=HTTPStatus.FOUND, headers={"Location": str(target), "Cache-Control": "no-store"})


async def ask(request: web.Request) -> web.Response:
    """GET /authorize: the page with the people to choose from, Allow and Deny."""
    try:
        query = _question(request)
    except BadQuestionError as error:
        return _page("refused.html", HTTPStatus.BAD_REQUEST, reason=str(error))
    if mistake := _mistake(query):
        return _back(query, error=mistake)
    people = request.app[STATE].world.people
    chosen = next((person for person in people if person.email == query.get("login_hint")), people[0])
    client, scopes = URL(query["redirect_uri"]).authority, query["scope"].split()
    return _page("authorize.html", people=people, chosen=chosen, client=client, scopes=scopes)


async def answer(request: web.Request) -> web.Response:
    """POST /authorize: what the person decided, sent to the client's redirect_uri."""
    state = request.app[STATE]
    try:
        query = _question(request)
        form = single((await request.post()).items())
    except (BadQuestionError, ValueError) as error:
        return _page("refused.html", HTTPStatus.BAD_REQUEST, reason=str(error))
    if mistake := _mistake(query):
        return _back(query, error=mistake)
    if form.get("decision") == "deny":
        return _back(query, error="access_denied")
    person = next((person for person in state.world.people if person.email == form.get("user")), None)
    if form.get("decision") != "allow" or person is None:
        return _page("refused.html", HTTPStatus.BAD_REQUEST, reason="The answer names no decision, or no known user.")
    grant = Grant(
        query["client_id"], query["redirect_uri"], query.get("code_challenge", ""), person.number, query["scope"]
    )
    return _back(query, code=state.grants.allow(grant))


def _client(request: web.Request, form: dict[str, str]) -> str:
    """The client's id, from HTTP Basic or the form; raises RefusedError without an id and a secret."""
    client_id, client_secret = form.get("client_id", ""), form.get("client_secret", "")
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            name, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (ValueError, binascii.Error):
            raise RefusedError("The Authorization header is malformed.", 401) from None
        basic_id, client_secret = unquote_plus(name), unquote_plus(password)
        if client_id not in ("", basic_id):
            raise RefusedError("The form and the Authorization header name two clients.", 401)
        client_id = basic_id
    if not client_id or not client_secret:
        raise RefusedError("The client_id or the client_secret is missing.", 401)
    return client_id


async def _fields(request: web.Request) -> dict[str, str]:
    if request.content_type != "application/x-www-form-urlencoded":
        raise RefusedError("The request must be a form: application/x-www-form-urlencoded.", 415)
    try:
        return single((await request.post()).items())
    except ValueError as error:
        raise RefusedError(str(error)) from None


async def token(request: web.Request) -> web.Response:
    """POST /access_token: tokens for a code or a refresh token."""
    state = request.app[STATE]
    knobs, grants = state.knobs, state.grants
    lives = (knobs.token_lifetime, knobs.refresh_lifetime)
    try:
        form = await _fields(request)
        client, kind = _client(request, form), form.get("grant_type", "")
        state.counts[f"grant:{kind}" if kind in ("authorization_code", "refresh_token") else "grant:other"] += 1
        if kind == "authorization_code":
            uri, verifier = form.get("redirect_uri", ""), form.get("code_verifier", "")
            issued = grants.redeem(form.get("code", ""), lives, client_id=client, redirect_uri=uri, verifier=verifier)
        elif kind == "refresh_token":
            issued = grants.refresh(form.get("refresh_token", ""), client, lives, rotate=knobs.rotate)
        else:
            return problem(400, "The grant_type must be authorization_code or refresh_token.")
    except RefusedError as error:
        return problem(error.status, str(error))
    return web.json_response(_reply(issued, bare=knobs.bare_replies), headers={"Cache-Control": "no-store"})


def _reply(issued: Issued, *, bare: bool) -> dict[str, str | int]:
    reply: dict[str, str | int] = {
        "access_token": issued.access_token,
        "expires_in": issued.expires_in,
        "refresh_token": issued.refresh_token,
        "refresh_token_expires_in": issued.refresh_token_expires_in,
    }
    return reply if bare else {**reply, "token_type": "Bearer", "scope": issued.scope}


async def revoke(request: web.Request) -> web.Response:
    """POST /revoke: end a token; an unknown one is answered alike (RFC 7009, 2.2)."""
    state = request.app[STATE]
    try:
        form = await _fields(request)
        client = _client(request, form)
    except RefusedError as error:
        return problem(error.status, str(error))
    if not form.get("token"):
        return problem(400, "The token is missing.")
    state.grants.revoke(form["token"], client)
    return web.Response()
