"""The Socket.IO door: Start, Stop and live output; docs/events.md has the table of events."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from flask import Flask
from flask_socketio import SocketIO

from app import messages, rights, visitors
from app.console import Console
from app.errors import BadRequest, NotFound, RealtimeError
from app.health import Health
from app.lookup import Place
from app.model import Admission, Run, User
from app.sockets import Sockets
from app.sockets import sid_of as _sid
from app.stack import Stack
from app.viewer import Viewers
from app.wire import DEFAULT, Wire, encode

logger = logging.getLogger(__name__)

SOCKET_VIEWERS = 32
GREETING_SECONDS = 0.1


@dataclass
class Page:
    """What the server knows of one connected socket."""

    user: User
    admission: Admission
    newest: str | None = None
    searches: int = 0
    viewers: Viewers = field(default_factory=lambda: Viewers(SOCKET_VIEWERS))


class Door:
    """The events of the default namespace."""

    def __init__(self, app: Flask, socketio: SocketIO, sockets: Sockets, wire: Wire) -> None:
        self._console: Console = app.extensions["console"]
        self._window = app.extensions["settings"].window_bytes
        self._pages: dict[str, Page] = {}
        self._stack: Stack = app.extensions["stack"]
        self._sessions: Any = app.session_interface
        self._socketio, self._sockets, self._wire = socketio, sockets, wire
        self._health: Health = app.extensions["health"]
        self._health.listen(lambda storage: socketio.emit("storage", storage.as_dict()))
        socketio.on_event("connect", self._connect)
        # Without Flask's request around them, which takes as long as all else that the door does.
        socketio.server.on("disconnect", self._disconnect, namespace="/")
        for name in ("start_request", "stop_request", "kill_request", "input", "watch", "unwatch", "search"):
            socketio.server.on(name, self._answering(name, getattr(self, f"_{name}")), namespace="/")
        # It comes many times a second, and concerns what this socket was allowed to watch.
        socketio.server.on("ack", self._ack, namespace="/")
        self._wire.on_ack(self._ack)

    def _connect(self, *_auth: object) -> None:
        socket = self._sockets.enter()
        self._pages[socket.sid] = Page(socket.user, self._sessions.admission(socket.session))
        if not self._sockets.knows(socket.sid):
            # It went before it had a page, which nobody would close.
            self._disconnect(socket.sid)
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

    def _disconnect(self, sid: str, *_reason: object) -> None:
        self._sockets.leave(sid)
        page = self._pages.pop(sid, None)
        if page is not None:
            page.viewers.close()

    def _answering(self, name: str, handle: Callable[[str, Any, dict[str, Any]], dict[str, Any]]) -> Callable[..., Any]:
        door = f"socket:{name}"

        @functools.wraps(handle)
        def answer(sid: str, *args: Any) -> dict[str, Any] | None:
            visitors.arrive(self._socketio.server.get_environ(sid, namespace="/") or {}, door)
            try:
                page = self._pages.get(sid)
                rights.require(page.user if page and self._is_admitted(page, name) else None, rights.DOORS[door])
                found = handle(sid, page, messages.only(name, args))
            except RealtimeError as error:
                wrong = error.as_dict()
            except Exception:
                logger.exception("event %s failed", name)
                wrong = {"code": "error", "message": "Something went wrong here. Please try again."}
            else:
                return {"ok": True, **found}
            return self._refuse(sid, name, wrong)

        return answer

    def _refuse(self, sid: str, name: str, wrong: dict[str, Any]) -> dict[str, Any]:
        self._socketio.emit("error", {**wrong, "event": name}, to=sid)
        return {"ok": False, "error": wrong}

    def _is_admitted(self, page: Page, name: str) -> bool:
        """Does the session live with which the page's socket came? To stop a run asks for that by itself."""
        return name in ("stop_request", "kill_request") or self._sessions.renew(page.admission)

    def _start_request(self, sid: str, page: Page, message: dict[str, Any]) -> dict[str, Any]:
        job, key = messages.text(message, "job", None), messages.text(message, "key", None)
        params = message.get("params") or {}
        if not isinstance(params, dict):
            raise BadRequest("params: expected an object")
        run = self._console.start(page.user, job, params, key)
        page.newest = run.id
        return self._watching(sid, page, run, Place(), bool(message.get("ack")))

    def _stop_request(self, _sid: str, page: Page, message: dict[str, Any]) -> dict[str, Any]:
        return {"run": self._console.stop(page.user, _meant(page, message), page.admission).as_dict()}

    def _kill_request(self, _sid: str, page: Page, message: dict[str, Any]) -> dict[str, Any]:
        return {"run": self._console.kill(page.user, _meant(page, message), page.admission).as_dict()}

    def _input(self, _sid: str, page: Page, message: dict[str, Any]) -> dict[str, Any]:
        run = self._console.give_input(page.user, messages.run_id(message), messages.line(message))
        return {"run": run.as_dict()}

    def _watch(self, sid: str, page: Page, message: dict[str, Any]) -> dict[str, Any]:
        return self._watching(sid, page, messages.run_id(message), messages.place(message), bool(message.get("ack")))

    def _watching(self, sid: str, page: Page, run: str | Run, place: Place, acknowledges: bool) -> dict[str, Any]:
        wire = self._wire
        address, run_id = wire.address(sid), run if isinstance(run, str) else run.id
        page.viewers.drop(run_id)
        found, _, (after, line) = self._console.watch(
            page.user,
            run,
            place,
            send_output=lambda piece: wire.output(address, run_id, piece),
            send_status=lambda run: wire.send(address, encode("status", {"run": run.as_dict()}, DEFAULT)),
            send_queue=lambda turn: self._socketio.emit("queue", turn, to=sid),
            send_behind=lambda end: self._socketio.emit("behind", {"run": run_id, "position": end}, to=sid),
            has_room=lambda: wire.has_room(address),
            window=self._window if acknowledges else None,
            keep=page.viewers.add,
        )
        return {"run": found.as_dict(), "after": after, "line": line}

    def _search(self, sid: str, page: Page, message: dict[str, Any]) -> dict[str, Any]:
        run_id, asked = messages.run_id(message), messages.search(message)
        # A page has one search: the one before answers with what it has.
        page.searches = number = page.searches + 1
        found = self._console.search(
            page.user,
            run_id,
            asked.query,
            after=asked.after,
            backwards=asked.backwards,
            limit=asked.limit,
            gone=lambda: self._pages.get(sid) is not page or page.searches != number,
        )
        return {"matches": [asdict(each) for each in found.matches], "searched": found.searched, "done": found.done}

    def _unwatch(self, _sid: str, page: Page, message: dict[str, Any]) -> dict[str, Any]:
        page.viewers.drop(messages.run_id(message))
        return {}

    def _ack(self, sid: str, *args: Any) -> dict[str, Any] | None:
        page = self._pages.get(sid)
        try:
            message = messages.only("ack", args)
            run_id, position = messages.run_id(message), messages.whole(message, "position")
        except BadRequest as error:
            return self._refuse(sid, "ack", error.as_dict())
        viewer = page.viewers.of(run_id) if page else None
        if viewer is not None:
            viewer.acknowledge(position)
        return None


def _meant(page: Page, message: dict[str, Any]) -> str:
    run_id = messages.text(message, "run", page.newest)
    if run_id is None:
        raise NotFound("This page has started no run yet.")
    return run_id
