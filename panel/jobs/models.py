"""The node's half of an operation that it does as a job."""

import uuid

from django.db import models

from runtime.contract import JobReport, JobSpec


class Job(models.Model):
    """What one node was asked to do once. An operation has one for each node that takes part."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    """For the node too. The first one's is that of its operation."""
    operation = models.ForeignKey("operations.Operation", on_delete=models.CASCADE, related_name="jobs")
    node = models.ForeignKey("nodes.Node", on_delete=models.CASCADE, related_name="jobs")
    spec = models.JSONField()
    """As a `runtime.contract.JobSpec`; never a secret."""
    is_over = models.BooleanField(default=False)
    """The node has said how it ended: it isn't asked again."""
    said = models.JSONField(null=True, blank=True)
    """Its newest `runtime.contract.JobReport`."""
    sequence = models.PositiveBigIntegerField(default=0)
    """Of the newest report."""
    sent_at = models.DateTimeField(null=True, blank=True)
    """None: the broker was away, it is sent as soon as that is back."""
    send_attempts = models.PositiveIntegerField(default=0)
    heard_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["sent_at"], condition=models.Q(is_over=False), name="job_not_over"),
        ]

    def __str__(self) -> str:
        return f"{self.spec['work']['kind']} on {self.node.name}"

    @property
    def asked(self) -> JobSpec:
        return JobSpec.model_validate(self.spec)

    @property
    def report(self) -> JobReport | None:
        """The newest; None: nothing was heard of it yet."""
        return None if self.said is None else JobReport.model_validate(self.said)
