"""Lists the switches of a sandbox that may be set from outside."""

from typing import Self

from pydantic import BaseModel, ConfigDict

from responder.bitrix24.sandbox.portal import Sandbox


class Switches(BaseModel):
    """Switches as they are called in the sandbox; those that are not given stay as they are."""

    model_config = ConfigDict(extra="forbid")

    admin: bool | None = None
    scopes: tuple[str, ...] | None = None
    features: set[str] | None = None
    absent_methods: set[str] | None = None
    denied_methods: set[str] | None = None
    limits: bool | None = None
    rate: float | None = None
    burst: int | None = None
    answer_seconds: float | None = None
    tells_operating: bool | None = None
    plan_refused: bool | None = None
    drop_filters: bool | None = None
    exact_filters: bool | None = None
    not_found_text: str | None = None
    zombie_days: int | None = None
    loopback_handlers: bool | None = None

    def put_into(self, sandbox: Sandbox) -> dict[str, object]:
        """Set those that are given, and return all as they are now."""
        for name in self.model_fields_set:
            setattr(sandbox, name, getattr(self, name))
        return self.of(sandbox).model_dump(mode="json")

    @classmethod
    def of(cls, sandbox: Sandbox) -> Self:
        """Return the switches as they are."""
        return cls(**{name: getattr(sandbox, name) for name in cls.model_fields})
