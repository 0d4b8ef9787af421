"""Where the wall clock stood, by boot of the machine."""

from django.db import models


class ClockNote(models.Model):
    """By how much the wall clock is ahead of a machine's CLOCK_BOOTTIME, which nobody can set."""

    boot = models.CharField(max_length=36, primary_key=True)
    """Of /proc/sys/kernel/random/boot_id."""
    offset_s = models.FloatField()
    wall_s = models.FloatField(default=0)
    """What it showed when it was last looked at, to a minute; 0: not known."""

    def __str__(self) -> str:
        return self.boot


class ClockStep(models.Model):
    """One step forward, or what was set within an hour: what is counted by age is that much younger."""

    at = models.DateTimeField(db_index=True)
    """By the clock as it was set."""
    seconds = models.FloatField()

    def __str__(self) -> str:
        return f"{self.seconds:+.0f} s"
