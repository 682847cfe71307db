"""The people, spaces and messages: computed from the seed, so nothing is stored and any size costs nothing."""

from __future__ import annotations

import base64
import binascii
import bisect
import hashlib
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from typing import Any

from simulator.knobs import Knobs

# Ids and times look as https://developer.webex.com/docs/basics shows them.
_PREFIX = "ciscospark://us/"
_NEWEST = datetime(2026, 1, 5, 16, 0, tzinfo=UTC)
_ORDINALS = ("First", "Second", "Third", "Fourth", "Fifth", "Sixth", "Seventh", "Eighth", "Ninth", "Tenth")
_SUBJECTS = ("Release", "Support", "Design", "Café ☕", "R&D <internal>", "Budget", "Network", "週報", "Security")
# Which spaces are direct, and which messages are replies or mentions: (one in so many, counted from).
_DIRECT, _REPLY, _MENTION = (6, 4), (5, 2), (11, 3)
_KINDS = ("planning", "announcements", "questions", "review", "stand-up", "archive", "help", "ideas")
_TEXTS = (
    "Good morning!",
    "The build is green again.",
    "Who can look at this?",
    "Done.",
    "Let us meet at ten.",
    "Grüße aus dem Büro",
    "See the minutes of yesterday.",
    "Works for me <b>now</b> & then",
)


def make_id(kind: str, place: str, number: int) -> str:
    """An id as Webex makes them: unpadded base64 of an URI; its UUID ends in `number`, which `number_of` reads."""
    head = hashlib.blake2b(f"{kind}/{place}".encode(), digest_size=10).digest()
    value = uuid.UUID(bytes=head + number.to_bytes(6, "big"))
    return base64.urlsafe_b64encode(f"{_PREFIX}{kind}/{value}".encode()).rstrip(b"=").decode()


def number_of(identity: str, kind: str, place: str) -> int | None:
    """The number in an id made by `make_id` with the same kind and place; None for any other text."""
    try:
        text = base64.urlsafe_b64decode(identity.encode() + b"=" * (-len(identity) % 4)).decode()
        number = int(text[-12:], 16)
    except (ValueError, binascii.Error):
        return None
    return number if make_id(kind, place, number) == identity else None


def stamp(moment: datetime) -> str:
    """A time as Webex writes it: `2016-04-21T19:12:48.920Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"


def _draw(limit: int, *parts: object) -> int:
    """A number from 0 to `limit - 1` that depends on `parts` alone."""
    digest = hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % limit


def _falls(number: int, rule: tuple[int, int]) -> bool:
    return number % rule[0] == rule[1]


@dataclass(frozen=True, eq=False)
class Person:
    """Somebody who can log in; `number` counts from 0."""

    number: int
    id: str
    email: str
    name: str
    record: dict[str, Any]


class Space:
    """One space of one person; its messages are numbered from 0, the newest."""

    def __init__(self, world: World, owner: Person, number: int) -> None:
        self._world, self._number = world, number
        self._place = f"{world.seed}/{owner.number}/{number}"
        self.active = _NEWEST - timedelta(seconds=number * 5400 + _draw(5400, "active", self._place))
        self.created = self.active - timedelta(days=30 + _draw(900, "age", self._place))
        self.count = self._count(world.knobs.messages)
        direct = _falls(number, _DIRECT)
        partner = world.people[(owner.number + 1) % len(world.people)]
        subject, kind = _draw(len(_SUBJECTS), "s", self._place), _draw(len(_KINDS), "k", self._place)
        self.record: dict[str, Any] = {
            "id": make_id("ROOM", self._place, number),
            "title": partner.name if direct else f"{_SUBJECTS[subject]} {_KINDS[kind]} {number + 1}",
            "type": "direct" if direct else "group",
            "isLocked": False,
            "lastActivity": stamp(self.active),
            "creatorId": owner.id,
            "created": stamp(self.created),
            "ownerId": world.organization,
            "isPublic": False,
            "isReadOnly": False,
        }

    def _count(self, most: int) -> int:
        # The first space is always full and the second always empty, so that both are easy to find.
        fixed = {0: most, 1: 0}
        return fixed[self._number] if self._number in fixed else _draw(most + 1, "count", self._place)

    def moment(self, number: int) -> datetime:
        """When message `number` was written: later for smaller numbers, never outside the life of the space."""
        return self.active - (self.active - self.created) * number / (self.count + 1)

    def message(self, number: int) -> dict[str, Any]:
        """Message `number` as the API shows it."""
        people = self._world.people
        author = people[_draw(len(people), "author", self._place, number)]
        item: dict[str, Any] = {
            "id": make_id("MESSAGE", self._place, number),
            "roomId": self.record["id"],
            "roomType": self.record["type"],
            "text": _TEXTS[_draw(len(_TEXTS), "text", self._place, number)],
            "personId": author.id,
            "personEmail": author.email,
            "created": stamp(self.moment(number)),
        }
        if _falls(number, _REPLY) and number + 1 < self.count:
            item["parentId"] = make_id("MESSAGE", self._place, number + 1)
        if _falls(number, _MENTION):
            item["mentionedPeople"] = [people[0].id]
        return item

    def number_of(self, message_id: str) -> int | None:
        """The number of a message of this space by its id; None where it has no such message."""
        number = number_of(message_id, "MESSAGE", self._place)
        return number if number is not None and number < self.count else None

    def first_before(self, moment: datetime) -> int:
        """The number of the newest message written before `moment`."""
        return bisect.bisect_right(range(self.count), -moment.timestamp(), key=lambda n: -self.moment(n).timestamp())


class World:
    """Everybody and everything, as `knobs` say."""

    def __init__(self, knobs: Knobs) -> None:
        self.knobs = knobs
        self.seed = knobs.seed
        self.organization = make_id("ORGANIZATION", str(self.seed), 0)
        self._spaces = lru_cache(maxsize=None)(self._make_spaces)

    @cached_property
    def people(self) -> list[Person]:
        """Everybody who can log in."""
        return [self._person(number) for number in range(self.knobs.users)]

    def _person(self, number: int) -> Person:
        first = _ORDINALS[number] if number < len(_ORDINALS) else f"{number + 1}th"
        identity = make_id("PEOPLE", str(self.seed), number)
        email, name = f"user{number + 1}@example.com", f"{first} User"
        record = {
            "id": identity,
            "emails": [email],
            "phoneNumbers": [],
            "displayName": name,
            "nickName": first,
            "firstName": first,
            "lastName": "User",
            "avatar": "",
            "orgId": self.organization,
            "created": stamp(_NEWEST - timedelta(days=1200 + number)),
            "lastModified": stamp(_NEWEST - timedelta(days=20 + number)),
            "lastActivity": stamp(_NEWEST),
            "status": "active",
            "type": "person",
        }
        return Person(number, identity, email, name, record)

    def _make_spaces(self, person: Person) -> dict[str, Space]:
        spaces = (Space(self, person, number) for number in range(self.knobs.spaces))
        return {space.record["id"]: space for space in spaces}

    def spaces(self, person: Person) -> dict[str, Space]:
        """The spaces of `person` by id, the latest active first."""
        return self._spaces(person)
