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
    """Hash of method, path and body (of an archive: its length)."""
    body_digest = models.CharField(max_length=64, blank=True, default="")
    """Of an archive, which is read once: known at its end."""
    token_id = models.UUIDField(null=True, blank=True)
    """Of who asked first; None: he was signed in."""
    needs = models.JSONField(default=list, blank=True)
    """The rights that it took; who is given the kept answer has them."""
    status = models.PositiveSmallIntegerField(null=True, blank=True)
    """None while the first request is still at work."""
    is_begun = models.BooleanField(default=False)
    """It has an effect outside of the database, which nobody may have twice."""
    holder = models.CharField(max_length=32, blank=True, default="")
    renewed_at = models.DateTimeField(null=True, blank=True)
    renewed_since_boot_s = models.FloatField(default=0)
    boot = models.CharField(max_length=36, blank=True, default="")
    """Id of the machine's boot that the two `since_boot_s` count from."""
    created_since_boot_s = models.FloatField(default=0)
    answer = models.BinaryField(null=True, blank=True)
    headers = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["scope", "key"], name="idempotency_key_once")]

    def __str__(self) -> str:
        return self.key
