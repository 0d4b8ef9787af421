"""Where the wall clock stood, by boot of the machine."""

from django.db import models


class ClockNote(models.Model):
    """By how much the wall clock is ahead of a machine's CLOCK_BOOTTIME, which nobody can set."""

    boot = models.CharField(max_length=36, primary_key=True)
    """Of /proc/sys/kernel/random/boot_id."""
    offset_s = models.FloatField()

    def __str__(self) -> str:
        return self.boot
