"""A person who signs in, the tokens that act in his name (both stand in `panel.rights.who`), and his keys."""

import uuid

from django.db import models

from panel.rights.who import Token, User

__all__ = ["SignInPolicy", "SshKey", "Token", "User"]


class SignInPolicy(models.Model):
    """What administrators ask of everybody's sign-in; one row."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    requires_mfa = models.BooleanField(default=False)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(pk=1), name="signin_policy_one")]

    def __str__(self) -> str:
        return "sign-in policy"


class SshKey(models.Model):
    """A public key that a person keeps here, to be chosen where an environment gets its keys."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="ssh_keys")
    name = models.CharField(max_length=60)
    text = models.TextField()
    """One line, as in `authorized_keys`."""
    fingerprint = models.CharField(max_length=64)
    """As `ssh-keygen -l` says it: `SHA256:` and 43 characters."""
    created_at = models.DateTimeField(auto_now_add=True)
    used_at = models.DateTimeField(null=True, blank=True, editable=False)
    """When somebody first came in by it at the SSH gateway, which takes its other half."""

    class Meta:
        ordering = ["name", "created_at"]
        constraints = [models.UniqueConstraint(fields=["user", "fingerprint"], name="ssh_key_once")]

    def __str__(self) -> str:
        return self.name

    @property
    def type(self) -> str:
        return self.text.split(None, 1)[0]
