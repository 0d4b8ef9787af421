"""An environment: its first half says what is wanted, its second what was last seen.

Only `environments.services` writes the first half, only `environments.observe` the second; the panel's own
cause (`UNHEARD`), when a node says nothing, is `environments.tasks.end_overdue`'s.
"""

import uuid
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models

from panel.environments import states
from panel.environments.document import Intent
from panel.environments.states import State
from panel.rights.place import Place
from panel.rights.scope import Scoped
from panel.said import SaidField
from runtime.contract import DesiredState, Kernel, Kind, Limits, LogsSeen, ObservedState
from runtime.contract.base import NAME_PATTERN


class Environments(Scoped["Environment"]):
    environment_relation = "pk"

    def living(self) -> "Environments":
        """Without those of which nothing is left."""
        return self.filter(deleted_at=None)

    def in_use(self) -> "Environments":
        """The living without those in the trash: what lists show."""
        return self.living().filter(trashed_at=None)

    def trashed(self) -> "Environments":
        """Those in the trash."""
        return self.living().filter(trashed_at__isnull=False)

    def with_state(self) -> "Environments":
        """Each with its `derived_state`."""
        return self.annotate(derived_state=states.COLUMN)

    def in_state(self, state: State) -> "Environments":
        """Those whose `state` this is."""
        return self.alias(derived_state=states.COLUMN).filter(states.may_be(state), derived_state=state)


class Environment(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="environments")
    node = models.ForeignKey("nodes.Node", on_delete=models.PROTECT, related_name="environments")
    name = models.CharField(max_length=63, validators=[RegexValidator(NAME_PATTERN)])
    description = models.CharField(max_length=400, blank=True, default="")
    plan_version = models.ForeignKey(
        "plans.PlanVersion", on_delete=models.PROTECT, null=True, blank=True, related_name="environments"
    )
    follows_plan = models.BooleanField(default=False)
    """Gets each new version of its plan; its size is the plan's."""
    plan_problem = models.CharField(max_length=400, blank=True, default="")
    """Why the plan's newest version could not be given to it; empty: it was, or wasn't tried yet."""
    plan_tried_at = models.DateTimeField(null=True, blank=True)
    traffic_state = models.CharField(
        max_length=8, choices=[("slow", "slowed down"), ("suspend", "suspended")], blank=True, default=""
    )
    """What was done since this month's traffic is used up; empty: it isn't."""
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True, blank=True)
    """When the node said that nothing is left."""
    trashed_at = models.DateTimeField(null=True, blank=True)
    """Since when it is in the trash; None: it isn't."""
    trash_ends_at = models.DateTimeField(null=True, blank=True)
    """When it is deleted for good, unless somebody brings it back before."""
    trash = models.JSONField(default=dict, blank=True)
    """Of what there was before, what it takes to bring it back (`panel.environments.trash`)."""

    version = models.PositiveIntegerField(default=1, db_default=1)
    """Counts up with every change of what people see and set: for `If-Match`."""

    # what is wanted
    generation = models.PositiveBigIntegerField(default=1)
    desired_state = models.CharField(
        max_length=16, choices=[(s.value, s.value) for s in DesiredState], default=DesiredState.RUNNING
    )
    kind = models.CharField(max_length=16, choices=[(k.value, k.value) for k in Kind], default=Kind.SYSTEM)
    kernel = models.CharField(
        max_length=16, choices=[(k.value, k.value) for k in Kernel], default=Kernel.SHARED
    )
    image = models.CharField(max_length=400)
    """The name of one; of an app, the reference of its image."""
    slot = models.PositiveIntegerField(null=True, blank=True)
    """Number of its user ids on the node; None once the cool-down after its deletion is over."""
    intent = models.JSONField()
    """As `panel.environments.document.Intent`."""
    secrets = models.JSONField(default=dict, blank=True, db_default={})
    """Of an app, encrypted (`panel.environments.secret_values`): each value by name and count."""
    ssh_keys = models.JSONField(default=list, blank=True)
    root_password_hash = models.CharField(max_length=256, blank=True, default="")
    """crypt(5); empty: left as it is."""
    credentials_revision = models.PositiveIntegerField(default=0)
    boots = models.PositiveIntegerField(default=0)
    installs = models.PositiveIntegerField(default=0)
    keep_old_root = models.BooleanField(default=False)
    stop_within_s = models.FloatField(null=True, blank=True)
    """What the request for its stop said; None: what its `stop_timeout_s` says. The next change ends it."""
    operation_id = models.UUIDField(null=True, blank=True)
    """The newest operation, so that lists need no join."""
    sent_at = models.DateTimeField(null=True, blank=True)
    """When the spec was last sent to the node."""
    send_attempts = models.PositiveIntegerField(default=0)
    """How often this generation was sent."""

    # what was seen
    app = models.JSONField(null=True, blank=True)
    """As `runtime.contract.AppSeen`; None: of a system, or nothing was resolved yet."""
    held = models.JSONField(default=dict, blank=True)
    """Of the intent what acts at a start, as it was when it last started; empty: that isn't known."""
    observed_state = models.CharField(max_length=16, blank=True, default="")
    observed_generation = models.PositiveBigIntegerField(default=0)
    attempted_generation = models.PositiveBigIntegerField(default=0)
    observed_sequence = models.BigIntegerField(default=-1)
    observed_at = models.DateTimeField(null=True, blank=True)
    """By the node's clock."""
    heard_at = models.DateTimeField(null=True, blank=True)
    """When that was written down, by the panel's clock."""
    is_at_work = models.BooleanField(default=False)
    """The node said that more reports follow."""
    code = models.CharField(max_length=64, blank=True, default="")
    """Stable cause of what is wrong; empty when all is well."""
    message = SaidField(blank=True, default="")
    next_step = SaidField(blank=True, default="")
    init_pid = models.IntegerField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    restarts = models.PositiveIntegerField(default=0)
    exit_code = models.IntegerField(null=True, blank=True)
    oom_kills = models.PositiveIntegerField(default=0)

    objects = Environments.as_manager()

    class Meta:
        ordering = ["name"]
        indexes = [
            models.Index(fields=["tenant", "name"]),
            *[
                models.Index(
                    fields=fields, condition=models.Q(deleted_at__isnull=True), name=f"environment_by_{name}"
                )
                for name, fields in (
                    ("name", ["name", "id"]),
                    ("creation", ["created_at"]),
                    ("image", ["image", "id"]),
                    ("state", ["observed_state", "name", "id"]),
                )
            ],
            models.Index(
                fields=["traffic_state"],
                condition=~models.Q(traffic_state=""),
                name="environment_traffic_held",
            ),
            models.Index(
                fields=["trash_ends_at"],
                condition=models.Q(trash_ends_at__isnull=False, deleted_at__isnull=True),
                name="environment_in_trash",
            ),
            models.Index(
                fields=["plan_version"],
                condition=models.Q(deleted_at__isnull=True, follows_plan=True),
                name="environment_follows",
            ),
            models.Index(
                fields=["sent_at"],
                condition=models.Q(deleted_at__isnull=True, observed_generation__lt=models.F("generation")),
                name="environment_behind",
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "name"],
                condition=models.Q(deleted_at__isnull=True, trashed_at__isnull=True),
                name="environment_name_once",
            ),
            models.UniqueConstraint(fields=["node", "slot"], name="environment_slot_once"),
            models.CheckConstraint(
                condition=models.Q(deleted_at__isnull=False) | models.Q(slot__isnull=False),
                name="environment_has_slot",
            ),
            models.CheckConstraint(
                condition=models.Q(desired_state__in=[s.value for s in DesiredState]),
                name="environment_desired_known",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def place(self) -> Place:
        """Costs a query when `tenant` was not selected with it."""
        return Place(self.tenant.path, self.tenant_id, self.pk)

    @property
    def has_failed(self) -> bool:
        """The newest intent was tried to its end, or not heard of before its deadline, and is not so."""
        return states.has_failed(self)

    @property
    def state(self) -> State:
        """Costs a query when `tenant` was not selected with it."""
        return states.of(self)

    @property
    def health(self) -> dict[str, Any] | None:
        """As `runtime.contract.HealthSeen`; None: nobody says how to ask it, or it doesn't run."""
        if self.observed_state != ObservedState.RUNNING or self.app is None:
            return None
        found: dict[str, Any] | None = self.app.get("health")
        return found

    @property
    def healthiness(self) -> states.Healthiness | None:
        return None if self.health is None else states.Healthiness(self.health["state"])

    @property
    def health_since(self) -> datetime | None:
        since = (self.health or {}).get("since")
        return None if since is None else datetime.fromisoformat(since)

    @property
    def logs_state(self) -> states.LogsSent | None:
        return None if self.logs is None else states.LogsSent(self.logs.state)

    @property
    def logs(self) -> LogsSeen | None:
        """None: its log is sent nowhere, or nothing was heard of that yet."""
        found = (self.app or {}).get("logs")
        return None if found is None else LogsSeen.model_validate(found)

    @property
    def is_settled(self) -> bool:
        """The node has brought about the newest intent."""
        return self.observed_generation >= self.generation and not self.is_at_work

    @property
    def wanted(self) -> Intent:
        """The document, with its parts as the contract has them."""
        return Intent.model_validate(self.intent)

    @property
    def limits(self) -> dict[str, Any]:
        limits: dict[str, Any] = self.intent["limits"]
        return limits

    @property
    def stop_timeout_s(self) -> float:
        """How long its stop takes at most, as asked for now."""
        return self.wanted.stop_timeout_s if self.stop_within_s is None else self.stop_within_s

    @property
    def pending(self) -> dict[str, Any]:
        """What holds now of that which waits for the next start, by option; empty while nothing does."""
        if self.observed_state not in (ObservedState.RUNNING, ObservedState.PAUSED):
            return {}
        return {name: value for name, value in self.held.items() if value != self.intent.get(name)}

    @property
    def trash_days(self) -> int:
        """For how many days it can be brought back when it was deleted or reinstalled; 0: not at all."""
        version = self.plan_version
        of_plan = version.parsed_allowances.trash_days if version is not None else None
        return self.tenant.trash_days if of_plan is None else of_plan

    def contract_limits(self) -> Limits:
        return Limits.model_validate(self.limits)


class EnvironmentUsage(models.Model):
    """The newest use of one environment; history is kept elsewhere."""

    environment = models.OneToOneField(
        Environment, on_delete=models.CASCADE, primary_key=True, related_name="usage"
    )
    at = models.DateTimeField()
    cpu = models.FloatField(default=0)
    """vCPUs in use, averaged over the time since the report before."""
    cpu_ns = models.BigIntegerField(default=0)
    memory_bytes = models.BigIntegerField(default=0)
    memory_max_bytes = models.BigIntegerField(default=0)
    memory_hits = models.BigIntegerField(default=0)
    memory_hit_at = models.DateTimeField(null=True, blank=True)
    """When it last asked for more memory than it may have; None: not since it was first looked at."""
    swap_bytes = models.BigIntegerField(default=0)
    processes = models.PositiveIntegerField(default=0)
    process_hits = models.BigIntegerField(default=0)
    process_hit_at = models.DateTimeField(null=True, blank=True)
    disk_bytes = models.BigIntegerField(default=0)
    network_in_bytes = models.BigIntegerField(default=0)
    network_out_bytes = models.BigIntegerField(default=0)
    network_link = models.PositiveBigIntegerField(default=0)
    """Index of the link that the bytes were counted on: a new link's counters begin at zero."""
    network_in_bit_s = models.FloatField(default=0)
    network_out_bit_s = models.FloatField(default=0)
    oom_kills = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"use of {self.environment_id}"


class EnvironmentTags(Scoped["EnvironmentTag"]):
    environment_relation = "environment"


class EnvironmentTag(models.Model):
    """A word of the tenant's own, to find environments by. The node never hears of it."""

    environment = models.ForeignKey(Environment, on_delete=models.CASCADE, related_name="tags")
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, related_name="+")
    """Of the environment; here so that the words of a tenant are read from one index."""
    name = models.CharField(max_length=32)

    objects = EnvironmentTags.as_manager()

    class Meta:
        ordering = ["name"]
        indexes = [models.Index(fields=["name", "environment"], name="environment_by_tag")]
        constraints = [
            models.UniqueConstraint(fields=["environment", "name"], name="environment_tag_once"),
            models.CheckConstraint(condition=~models.Q(name=""), name="environment_tag_not_empty"),
        ]

    def __str__(self) -> str:
        return self.name
