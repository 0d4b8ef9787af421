"""One thing that was asked for, about an environment or anything else, as a person follows it."""

import uuid

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from panel.rights.permissions import Permission
from panel.rights.scope import Scoped
from panel.said import SaidField
from panel.states import Tone


class OperationState(models.TextChoices):
    PENDING = "pending", _("pending")
    RUNNING = "running", _("running")
    SUCCEEDED = "succeeded", _("succeeded")
    FAILED = "failed", _("failed")
    CANCELLED = "cancelled", _("cancelled")

    @property
    def tone(self) -> Tone:
        return _TONES[self]


_TONES = {
    OperationState.PENDING: Tone.BUSY,
    OperationState.RUNNING: Tone.BUSY,
    OperationState.SUCCEEDED: Tone.OK,
    OperationState.FAILED: Tone.BAD,
    OperationState.CANCELLED: Tone.OFF,
}


#: Causes of a failure that the panel itself found: the node was not heard of in time. It is asked on.
UNHEARD = ("node_silent", "deadline_passed")

#: Cause of an open one that its node was asked to drop: it stays open until the node says how it ended.
CANCELLING = "cancelling"

OPEN_STATES = (OperationState.PENDING, OperationState.RUNNING)


class SubjectType(models.TextChoices):
    """What an operation can be about; of what nodes do once, as in `runtime.contract.SubjectType`."""

    ENVIRONMENT = "environment", _("environment")
    TENANT = "tenant", _("tenant")
    IMAGE = "image", _("image")
    VOLUME = "volume", _("volume")
    STACK = "stack", _("stack")
    STAGE = "stage", _("stage")
    BUILD = "build", _("build of an image")


class OperationKind(models.TextChoices):
    CREATE = "create", _("create")
    UPDATE = "update", _("update")
    START = "start", _("start")
    STOP = "stop", _("stop")
    RESTART = "restart", _("restart")
    PAUSE = "pause", _("pause")
    RESUME = "resume", _("resume")
    RESCUE = "rescue", _("start the rescue system")
    LEAVE_RESCUE = "leave_rescue", _("leave the rescue system")
    REINSTALL = "reinstall", _("reinstall")
    CREDENTIALS = "credentials", _("change credentials")
    FORWARDS = "forwards", _("change port forwards")
    ADDRESSES = "addresses", _("change addresses")
    SNAPSHOT = "snapshot", _("change snapshots")
    RESTORE = "restore", _("restore")
    BACKUP = "backup", _("back up")
    DELETE_BACKUP = "delete_backup", _("delete a backup")
    PROVE_BACKUP = "prove_backup", _("prove a backup")
    PUT_BACK = "put_back", _("put back a file")
    COMMIT = "commit", _("publish as an image")
    CHECK_TARGET = "check_target", _("check a backup target")
    VOLUMES = "volumes", _("change volumes")
    MAKE_VOLUME = "make_volume", _("make a volume")
    RESIZE_VOLUME = "resize_volume", _("resize a volume")
    DELETE_VOLUME = "delete_volume", _("delete a volume")
    SNAPSHOT_VOLUME = "snapshot_volume", _("snapshot a volume")
    DELETE_SNAPSHOT = "delete_snapshot", _("delete a snapshot of a volume")
    RESTORE_VOLUME = "restore_volume", _("restore a volume")
    NAMES = "names", _("tell of names")
    DEPLOY = "deploy", _("deploy")
    SUSPEND = "suspend", _("suspend")
    TRASH = "trash", _("put into the trash")
    UNDELETE = "undelete", _("bring back")
    DELETE = "delete", _("delete")
    BUILD = "build", _("build")
    PROMOTE = "promote", _("promote")
    ROLL_BACK = "roll_back", _("roll back")
    UPDATE_BASE = "update_base", _("update the base")
    QUOTA = "quota", _("change the quota")


#: Taken back by asking for what was before. The others are done in a moment, or can't be undone.
CANCELLABLE = frozenset(
    {
        OperationKind.CREATE,
        OperationKind.UPDATE,
        OperationKind.START,
        OperationKind.STOP,
        OperationKind.RESTART,
        OperationKind.PAUSE,
        OperationKind.RESUME,
        OperationKind.RESCUE,
        OperationKind.LEAVE_RESCUE,
        OperationKind.BUILD,
        OperationKind.BACKUP,
        OperationKind.PROVE_BACKUP,
        OperationKind.PUT_BACK,
        OperationKind.PROMOTE,
        OperationKind.DEPLOY,
        OperationKind.ROLL_BACK,
        OperationKind.UPDATE_BASE,
        OperationKind.COMMIT,
        OperationKind.CHECK_TARGET,
    }
)


class Operations(Scoped["Operation"]):
    environment_relation = "environment"
    view_permission = Permission.OPERATION_VIEW


class Operation(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(
        "tenants.Tenant", on_delete=models.PROTECT, null=True, blank=True, related_name="operations"
    )
    """None: it is about something of the whole installation, which only its administrators see."""
    subject_type = models.CharField(max_length=16, choices=SubjectType.choices, default=SubjectType.ENVIRONMENT)
    subject_id = models.CharField(max_length=64, blank=True, default="")
    """Of the row that it is about; kept, as the name, after that is gone."""
    subject_name = models.CharField(max_length=64, blank=True, default="")
    environment = models.ForeignKey(
        "environments.Environment",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="operations",
    )
    """Of one that is about an environment, while its row is there."""
    kind = models.CharField(max_length=16, choices=OperationKind.choices)
    generation = models.PositiveBigIntegerField()
    """The intent that it asked for; done when the node has brought this or a newer one about. 0: it is done
    once, and is no intent (`panel.jobs`)."""
    state = models.CharField(max_length=16, choices=OperationState.choices, default=OperationState.PENDING)
    who = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    who_name = models.CharField(max_length=150, blank=True, default="")
    from_where = models.CharField(max_length=64, blank=True, default="")
    """Address that the request came from."""
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    deadline = models.DateTimeField()
    """An operation that is open after this has failed."""
    steps = models.JSONField(default=list, blank=True)
    """As a list of `runtime.contract.Step`."""
    progress = models.FloatField(default=0)
    """0 to 1, of one that says so."""
    doing = SaidField(blank=True, default="")
    """What is being done; of one that has succeeded, what became of it."""
    details = models.JSONField(default=dict, blank=True)
    """What was asked for, in words of the API; never a secret."""
    before = models.JSONField(default=dict, blank=True)
    """The intent before it, for cancelling."""
    code = models.CharField(max_length=64, blank=True, default="")
    message = SaidField(blank=True, default="")
    next_step = SaidField(blank=True, default="")
    is_retryable = models.BooleanField(default=True)
    retry_of = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="retries"
    )

    objects = Operations.as_manager()

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["environment", "-created_at"]),
            models.Index(fields=["tenant", "-created_at"]),
            models.Index(
                fields=["subject_type", "subject_id", "-created_at"],
                condition=~models.Q(subject_type="environment"),
                name="operation_subject",
            ),
            models.Index(fields=["-created_at"], name="operation_newest"),
            models.Index(fields=["tenant", "state"], name="operation_tenant_state"),
            models.Index(
                fields=["deadline"],
                condition=models.Q(state__in=["pending", "running"]),
                name="operation_open",
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=OperationState.values), name="operation_state_known"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject_name}"

    @property
    def shown_state(self) -> OperationState:
        """With its word and tone."""
        return OperationState(self.state)

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_STATES

    @property
    def can_cancel(self) -> bool:
        """What a tenant is held to is taken back by another change of the tenant."""
        if self.subject_type == SubjectType.TENANT or self.code == CANCELLING:
            return False
        return self.is_open and self.kind in CANCELLABLE

    @property
    def can_retry(self) -> bool:
        is_there = self.subject_type != SubjectType.ENVIRONMENT or self.environment_id is not None
        return self.state == OperationState.FAILED and self.is_retryable and is_there
