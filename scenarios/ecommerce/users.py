"""The user context: who somebody is. Other contexts know a user's id and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from scenarios.ecommerce import events, outbox
from sim import Request, Response, Service, health_check, route
from sim.model.tables import Tables

DATABASE = "user-db"


@dataclass(frozen=True)
class Profile:
    """What a user shows of themselves."""

    first_name: str = ""
    last_name: str = ""


@dataclass(frozen=True)
class Settings:
    """What a user wants."""

    language: str = "en"
    newsletter: bool = False


@dataclass(frozen=True)
class User:
    """A user, with all that this context knows."""

    id: str
    email: str
    name: str
    profile: Profile = field(default_factory=Profile)
    settings: Settings = field(default_factory=Settings)

    def as_json(self) -> dict[str, Any]:
        """As others see a user."""
        return {"id": self.id, "email": self.email, "name": self.name, "profile": vars(self.profile), "settings": vars(self.settings)}


class InvalidUser(ValueError):
    """What was sent makes no user."""


def new_user(user_id: str, data: Any) -> User:
    """A user as somebody signs up; raise InvalidUser."""
    if not isinstance(data, dict) or "@" not in str(data.get("email", "")):
        raise InvalidUser("an email address is needed")
    name = str(data.get("name") or data["email"].partition("@")[0])
    first, _, last = name.partition(" ")
    return User(user_id, str(data["email"]), name, Profile(first, last), Settings(str(data.get("language", "en"))))


class Users(Service):
    """Signing up, and looking somebody up."""

    async def start(self) -> None:
        known = self.config.get("known", 1000)
        await self.query(DATABASE, lambda tables: _seed(tables, known), write=True)
        self.spawn(outbox.relay(self, DATABASE, events.publisher(self)), "outbox")

    @route("POST", "/users")
    async def create(self, request: Request) -> Response:
        user_id = f"u-{self.rng.getrandbits(48):012x}"
        try:
            user = new_user(user_id, request.json)
        except InvalidUser as error:
            return Response(400, json={"error": str(error)})

        def insert(tables: Tables) -> None:
            tables["users"][user.id] = user
            outbox.put(tables, "user.created", f"user.created/{user.id}", {"user_id": user.id, "email": user.email, "name": user.name})

        await self.query(DATABASE, insert, write=True)
        return Response(201, json=user.as_json())

    @route("GET", "/users/{user_id}")
    async def get(self, request: Request, user_id: str) -> Response:
        user = await self.query(DATABASE, lambda tables: tables["users"].get(user_id))
        if user is None:
            return Response(404, json={"error": f"no user {user_id}"})
        return Response(200, json=user.as_json())

    @health_check("database")
    async def database_answers(self) -> str:
        await self.query(DATABASE)
        return f"{DATABASE} answers"


def _seed(tables: Tables, known: int) -> None:
    for number in range(len(tables["users"]) + 1, known + 1):
        tables["users"][f"u-{number}"] = User(f"u-{number}", f"u{number}@example.org", f"User {number}")
