"""The Socket.IO door: Start, Stop and live output; docs/events.md has the table of events."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from flask import Flask, request
from flask_socketio import SocketIO

from app import auth, messages, rights, visitors
from app.console import Console
from app.errors import BadRequest, NotFound, RealtimeError, StoreUnavailable
from app.health import Health
from app.lookup import Place
from app.model import Run, User
from app.sockets import Sockets
from app.sockets import sid_of as _sid
from app.stack import Stack
from app.viewer import Viewer
from app.wire import Wire

logger = logging.getLogger(__name__)

SOCKET_VIEWERS = 32
GREETING_SECONDS = 0.1


@dataclass
class Page:
    """What the server knows of one connected socket."""

    user: User
    newest: str | None = None
    searches: int = 0
    viewers: dict[str, Viewer] = field(default_factory=dict)


class Door:
    """The events of the default namespace."""

    def __init__(self, app: Flask, socketio: SocketIO, sockets: Sockets, wire: Wire) -> None:
        self._console: Console = app.extensions["console"]
        self._window = app.extensions["settings"].window_bytes
        self._pages: dict[str, Page] = {}
        self._stack: Stack = app.extensions["stack"]
        self._socketio, self._sockets, self._wire = socketio, sockets, wire
        self._health: Health = app.extensions["health"]
        self._health.listen(lambda storage: socketio.emit("storage", storage.as_dict()))
        socketio.on_event("connect", self._connect)
        socketio.on_event("disconnect", self._disconnect)
        for name in ("start_request", "stop_request", "kill_request", "input", "watch", "unwatch", "search"):
            socketio.on_event(name, self._answering(name, getattr(self, f"_{name}")))
        # Without Flask around it: it comes many times a second, and concerns what this socket was allowed to watch.
        socketio.server.on("ack", self._ack, namespace="/")
        self._wire.on_ack(self._ack)

    def _connect(self, *_auth: object) -> None:
        self._pages[_sid()] = Page(self._sockets.enter().user)
        if self._health.storage.reason:
            self._stack.spawn(self._tell_storage, _sid())

    def _tell_storage(self, sid: str) -> None:
        # The first packet to a new connection has to be the answer to it, which is sent after `_connect`.
        self._stack.sleep(GREETING_SECONDS)
        self._socketio.emit("storage", self._health.storage.as_dict(), to=sid)

    def belongs(self, sid: str, user: User) -> bool:
        """Whether a connection is there, and this user's."""
        page = self._pages.get(sid)
        return page is not None and page.user.id == user.id

    def ask(self, sid: str, event: str, message: dict[str, Any], seconds: float) -> Any:
        """Send an event and wait for the client's acknowledgement; None where it does not come in time."""
        try:
            return self._socketio.server.call(event, message, to=sid, namespace="/", timeout=seconds)
        except TimeoutError:
            return None

    def _disconnect(self, *_reason: object) -> None:
        self._sockets.leave()
        page = self._pages.pop(_sid(), None)
        if page is None:
            return
        for viewer in page.viewers.values():
            viewer.close()

    def _answering(
        self, name: str, handle: Callable[[Any, User, dict[str, Any]], dict[str, Any]]
    ) -> Callable[..., Any]:
        @functools.wraps(handle)
        def answer(*args: Any) -> dict[str, Any] | None:
            visitors.arrive(request.environ, f"socket:{name}")
            try:
                page = self._pages.get(_sid())
                found = handle(page, self._user(page, name), messages.only(name, args))
            except RealtimeError as error:
                wrong = error.as_dict()
            except Exception:
                logger.exception("event %s failed", name)
                wrong = {"code": "error", "message": "Something went wrong here. Please try again."}
            else:
                return {"ok": True, **found}
            return self._refuse(_sid(), name, wrong)

        return answer

    def _refuse(self, sid: str, name: str, wrong: dict[str, Any]) -> dict[str, Any]:
        self._socketio.emit("error", {**wrong, "event": name}, to=sid)
        return {"ok": False, "error": wrong}

    @staticmethod
    def _user(page: Page | None, name: str) -> User:
        try:
            user = auth.current_user() if page else None
        except StoreUnavailable:
            # Stop must work all the same; the socket was this user's before the store went away.
            if page is None or name not in ("stop_request", "kill_request"):
                raise
            user = page.user
        return rights.require(user, rights.DOORS[f"socket:{name}"])

    def _start_request(self, page: Page, user: User, message: dict[str, Any]) -> dict[str, Any]:
        job, key = messages.text(message, "job", None), messages.text(message, "key", None)
        params = message.get("params") or {}
        if not isinstance(params, dict):
            raise BadRequest("params: expected an object")
        run = self._console.start(user, job, params, key)
        page.newest = run.id
        return self._watching(page, user, run, Place(), bool(message.get("ack")))

    def _stop_request(self, page: Page, user: User, message: dict[str, Any]) -> dict[str, Any]:
        return {"run": self._console.stop(user, _meant(page, message)).as_dict()}

    def _kill_request(self, page: Page, user: User, message: dict[str, Any]) -> dict[str, Any]:
        return {"run": self._console.kill(user, _meant(page, message)).as_dict()}

    def _input(self, _page: Page, user: User, message: dict[str, Any]) -> dict[str, Any]:
        run = self._console.give_input(user, messages.run_id(message), messages.line(message))
        return {"run": run.as_dict()}

    def _watch(self, page: Page, user: User, message: dict[str, Any]) -> dict[str, Any]:
        return self._watching(page, user, messages.run_id(message), messages.place(message), bool(message.get("ack")))

    def _watching(self, page: Page, user: User, run: str | Run, place: Place, acknowledges: bool) -> dict[str, Any]:
        sid, wire = _sid(), self._wire
        address, run_id = wire.address(sid), run if isinstance(run, str) else run.id
        before = page.viewers.pop(run_id, None)
        if before is not None:
            before.close()
        if len(page.viewers) >= SOCKET_VIEWERS:
            self._drop_ended(page)
        found, viewer, (after, line) = self._console.watch(
            user,
            run,
            place,
            send_output=lambda piece: wire.output(address, run_id, piece),
            send_status=lambda run: self._socketio.emit("status", {"run": run.as_dict()}, to=sid),
            send_queue=lambda turn: self._socketio.emit("queue", turn, to=sid),
            send_behind=lambda end: self._socketio.emit("behind", {"run": run_id, "position": end}, to=sid),
            has_room=lambda: wire.has_room(address),
            window=self._window if acknowledges else None,
        )
        page.viewers[run_id] = viewer
        return {"run": found.as_dict(), "after": after, "line": line}

    def _search(self, page: Page, user: User, message: dict[str, Any]) -> dict[str, Any]:
        sid, run_id, asked = _sid(), messages.run_id(message), messages.search(message)
        # A page has one search: the one before answers with what it has.
        page.searches = number = page.searches + 1
        found = self._console.search(
            user,
            run_id,
            asked.query,
            after=asked.after,
            backwards=asked.backwards,
            limit=asked.limit,
            gone=lambda: self._pages.get(sid) is not page or page.searches != number,
        )
        return {"matches": [asdict(each) for each in found.matches], "searched": found.searched, "done": found.done}

    @staticmethod
    def _drop_ended(page: Page) -> None:
        page.viewers = {run_id: viewer for run_id, viewer in page.viewers.items() if not viewer.closed}
        if len(page.viewers) >= SOCKET_VIEWERS:
            page.viewers.pop(next(iter(page.viewers))).close()

    def _unwatch(self, page: Page, _user: User, message: dict[str, Any]) -> dict[str, Any]:
        viewer = page.viewers.pop(messages.run_id(message), None)
        if viewer is not None:
            viewer.close()
        return {}

    def _ack(self, sid: str, *args: Any) -> dict[str, Any] | None:
        page = self._pages.get(sid)
        try:
            message = messages.only("ack", args)
            run_id, position = messages.run_id(message), messages.whole(message, "position")
        except BadRequest as error:
            return self._refuse(sid, "ack", error.as_dict())
        viewer = page.viewers.get(run_id) if page else None
        if viewer is not None:
            viewer.acknowledge(position)
        return None


def _meant(page: Page, message: dict[str, Any]) -> str:
    run_id = messages.text(message, "run", page.newest)
    if run_id is None:
        raise NotFound("This page has started no run yet.")
    return run_id
