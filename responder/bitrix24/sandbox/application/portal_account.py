"""Holds who may call the portal: its webhook, its administrators, its local application."""

import hashlib
import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from responder.bitrix24.sandbox.application.application_state import Addresses, Application
from responder.bitrix24.sandbox.application.event_bindings import Events, Happening, Outgoing
from responder.bitrix24.sandbox.application.oauth import OAuth
from responder.bitrix24.sandbox.application.sender import send
from responder.bitrix24.sandbox.application.tokens import HOPS

Kind = Literal["cloud", "on_premise"]
APPLICATION_URL = "https://responder.sandbox.invalid/app/main"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who makes a call: the user of a webhook, or of an application's token."""

    user_id: str
    admin: bool
    scopes: tuple[str, ...]
    application: bool = False
    hops: int | None = None  # of an event's token: how many events may yet follow each other


class Account:
    """The webhook of a portal, whose user is `user_id`, and its one local application.

    `features` are those of the plan. `outgoing` are the events for the application's handlers;
    nobody sends them unless `happens` is told to.
    """

    def __init__(
        self,
        *,
        user_id: str,
        secret: str,
        admin: bool,
        scopes: Sequence[str],
        kind: Kind,
        clock: Callable[[], float],
    ) -> None:
        self.kind = kind
        self.user_id = user_id
        self.secret = secret
        self.admin = admin
        self.scopes = tuple(scopes)
        self.clock = clock
        self.lock = threading.RLock()

        self.member_id = hashlib.md5(secret.encode(), usedforsecurity=False).hexdigest()
        self.administrators: set[str] = set()  # besides the webhook's user, who is by `admin`
        self.features = {"rest_offline_extended", "rest_auth_connector"}
        self.loopback_handlers = True  # events may be bound to `localhost`
        self.application: Application | None = None
        self.oauth = OAuth(lambda: self.application, self._now, self.lock)
        self.outgoing: list[Outgoing] = []
        self._addresses = Addresses()
        self._events = Events()
        self._applications = itertools.count(1)
        self._acting: Actor | None = None

    @property
    def actor(self) -> Actor:
        """Return who makes the call that is carried out; at other times the webhook's user."""
        return self._acting or Actor(user_id=self.user_id, admin=self.admin, scopes=self.scopes)

    def is_admin(self, user_id: str) -> bool:
        """Return whether a user is an administrator."""
        return self.admin if user_id == self.user_id else user_id in self.administrators

    def add_administrator(self, user_id: int | str) -> None:
        """Make a user an administrator."""
        self.administrators.add(str(user_id))

    def add_application(
        self,
        *,
        user_id: int | str | None = None,
        scopes: Sequence[str] | None = None,
        handler_url: str = APPLICATION_URL,
        install_url: str = APPLICATION_URL,
        with_interface: bool = False,
    ) -> Application:
        """Save the form of a local application as this administrator; the keys are new ones."""
        with self.lock:
            installer = self.user_id if user_id is None else str(user_id)
            self._appoint(installer)
            self.application = Application(
                next(self._applications),
                scopes=self.scopes if scopes is None else scopes,
                clock=self._now,
                member_id=self.member_id,
                appoint=self._appoint,
                user_id=installer,
                handler_url=handler_url,
                install_url=install_url,
                with_interface=with_interface,
            )
            self.application.addresses = self._addresses
            return self.application

    def _appoint(self, user_id: str) -> None:
        if user_id != self.user_id:
            self.add_administrator(user_id)

    def reached_at(self, *, portal: str | None = None, oauth: str | None = None) -> None:
        """Set the addresses that messages name; the portal's own port serves OAuth as well."""
        with self.lock:
            now = self._addresses
            if portal:
                is_own = now.oauth in (Addresses().oauth, f"{now.portal}/oauth")
                now = Addresses(portal=portal, oauth=f"{portal}/oauth" if is_own else now.oauth)
            self._addresses = replace(now, oauth=oauth or now.oauth)
            if self.application:
                self.application.addresses = self._addresses

    def happens(
        self,
        event: str,
        data: Mapping[str, object] | None = None,
        *,
        user_id: int | None = 0,
        ours: bool = False,
        connector: str = "",
        deliver: bool = False,
    ) -> list[Outgoing]:
        """Let something happen: return what the application is sent, and add it to `outgoing`.

        `user_id` is who did it; 0 is nobody, None is not even said. `ours` is what the application
        did itself. With `deliver` a thread sends it, to this machine alone, and once.
        """
        with self.lock:
            hops = self._acting.hops if self._acting else None
            happening = Happening(
                event=event.upper(),
                data=data,
                user_id=user_id,
                ours=ours,
                connector=connector,
                hops=HOPS if hops is None else hops,
            )
            told = self._events.tell(self.application, happening) if self.application else []
            self.outgoing += told
        if deliver:
            send(told)
        return told

    def _now(self) -> float:
        return self.clock()
