"""One family of refusals: a code that stays, the field, a sentence with numbers, and a next step."""

from uuid import UUID

from django.utils.translation import gettext as _


class Refused(Exception):
    """The panel won't do it, and nothing was changed.

    `str(refused)` is the sentence for a person, `field` the input that it is about (empty: the whole
    request), `next_step` what the person can do, `status` the HTTP status of the API's answer.
    """

    code = "refused"
    status = 422

    @property
    def errors(self) -> list[dict[str, str]]:
        """Of what was asked, each bad thing: `field` and `message`."""
        return [{"field": self.field, "message": self.message}] if self.field else []

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        field: str = "",
        next_step: str = "",
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.next_step = next_step
        if code is not None:
            self.code = code
        if status is not None:
            self.status = status


class Invalid(Refused):
    """A value isn't acceptable; says what would be."""

    code = "invalid"
    status = 422


class NotFound(Refused):
    """There is no such thing, or it is somebody else's: the two look the same from outside."""

    code = "not_found"
    status = 404

    def __init__(self, what: str = "This") -> None:
        super().__init__(_("%(what)s does not exist, or you can't see it.") % {"what": _(what)})


class Forbidden(Refused):
    """The thing is visible to the actor, but this action on it isn't his."""

    code = "forbidden"
    status = 403

    def __init__(self, permission: str, *, tenant_id: UUID | None = None, target: object = None) -> None:
        super().__init__(
            _("This needs the permission %(permission)s, which your role does not have here.")
            % {"permission": permission},
            next_step=_("Ask an owner or administrator of the tenant for it."),
        )
        self.permission, self.tenant_id, self.target = permission, tenant_id, target


class SecondFactorNeeded(Refused):
    code = "second_factor_needed"
    status = 403

    def __init__(self) -> None:
        super().__init__(
            _("A second factor is asked for here, and your account has none."),
            next_step=_("Set up a passkey or an authenticator app under Two-factor and passkeys."),
        )


class Stale(Refused):
    """It was changed since the asker has read it (RFC 9110, 13.1.1)."""

    code = "stale"
    status = 412

    def __init__(self) -> None:
        super().__init__(
            _("It was changed by somebody else since you have read it."),
            next_step=_("Load it anew and look."),
        )


class Suspended(Refused):
    """The tenant is suspended: nothing of it can be started or changed, and its own API is closed."""

    code = "tenant_suspended"
    status = 403

    def __init__(self, tenant: str, reason: str) -> None:
        because = f": {reason}" if reason else ""
        super().__init__(
            _("The tenant %(tenant)s is suspended%(because)s")
            % {"tenant": tenant, "because": f"{because}{'' if because.endswith('.') else '.'}"},
            next_step=_("Nothing of it can be started or changed until whoever suspended it resumes it."),
        )


class Conflict(Refused):
    """It collides with what is there already, or with a change that is under way."""

    code = "conflict"
    status = 409


class QuotaExceeded(Conflict):
    code = "quota_exceeded"
    rows: tuple[int, ...] = ()
    """Keys of the quota rows that had no room, for counting the hit."""


class NoRoom(Conflict):
    """No node, address or id range is left for it."""

    code = "no_room"


class TooMany(Refused):
    """More at once than one may have; later there is room again."""

    code = "too_many"
    status = 429


class NodeAway(Refused):
    """A node, or what leads to it, doesn't answer now."""

    code = "node_away"
    status = 503
