"""Answers kept for requests that may come again."""

from django.db import models


class IdempotencyRecord(models.Model):
    """The answer to one POST with an `Idempotency-Key`, kept for a day.

    `answer` is encrypted, because it may hold a password or token that is shown once.
    """

    scope = models.CharField(max_length=64)
    """Hash of who asked: another user's equal key is another request."""
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    """Hash of method, path and body."""
    status = models.PositiveSmallIntegerField(null=True, blank=True)
    """None while the first request is still at work."""
    answer = models.BinaryField(null=True, blank=True)
    headers = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["scope", "key"], name="idempotency_key_once")]

    def __str__(self) -> str:
        return self.key
