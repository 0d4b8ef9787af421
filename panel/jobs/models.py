"""The node's half of an operation that it does as a job."""

from django.db import models

from runtime.contract import JobSpec


class Job(models.Model):
    """What one node was asked to do once. Its id, for the node too, is that of its operation."""

    operation = models.OneToOneField(
        "operations.Operation", on_delete=models.CASCADE, primary_key=True, related_name="job"
    )
    node = models.ForeignKey("nodes.Node", on_delete=models.CASCADE, related_name="jobs")
    spec = models.JSONField()
    """As a `runtime.contract.JobSpec`; never a secret."""
    is_over = models.BooleanField(default=False)
    """The node has said how it ended: it isn't asked again."""
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
