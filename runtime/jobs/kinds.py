"""The kinds of job that this version does, by name."""

from runtime.jobs.apps import Pull
from runtime.jobs.backups import Back, Check, Fetch, Forget, Prove, PutBack
from runtime.jobs.base import Job
from runtime.jobs.builds import BuildOne, DropAll
from runtime.jobs.images import Build, Delete
from runtime.jobs.publish import Publish
from runtime.jobs.tenants import Hold
from runtime.jobs.volumes import Drop, DropSnapshot, Keep, Restore, Snapshot

KINDS: dict[str, Job] = {
    one.kind: one
    for one in (
        *(Build(), Delete(), Pull(), Hold(), Back(), Forget(), Fetch(), Prove(), PutBack()),
        *(Snapshot(), DropSnapshot(), Restore()),
        *(Keep(), Drop(), Publish(), Check(), BuildOne(), DropAll()),
    )
}
