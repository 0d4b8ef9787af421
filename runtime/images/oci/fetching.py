"""Has the image of an app where its environment can be made from it: the reference resolved, the image fetched.

It waits for somebody else's registry, so it is done where nobody waits behind it.
"""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import uuid4

from runtime.contract import (
    AppOptions,
    EnvironmentSpec,
    JobOutcome,
    JobReport,
    JobSpec,
    PullApp,
    Report,
    Subject,
    SubjectType,
)
from runtime.contract.said import Said
from runtime.contract.words import apps, changes
from runtime.errors import HostLacks, RuntimeFault, Superseded
from runtime.images.oci.library import Library, key_of
from runtime.images.oci.registry import Registry, Resolved
from runtime.images.oci.signatures import mark
from runtime.images.oci.tools import MIB
from runtime.images.waiter import Waiter
from runtime.jobs.process import NotYet, do_apart, warm
from runtime.jobs.records import JobRecords
from runtime.node import Node
from runtime.places import Held, Places

#: Of an image's tree, whatever the tenant may have.
MOST_BYTES = 16 * 2**30
#: At once: each is two containers at most, of 512 MiB each, which nobody is charged for.
FETCHES = Places(places=12, of_tenant=3)
PROGRAMS = ("skopeo", "umoci", "catatonit")
_LOOK_S, _TURN_S = 0.2, 0.5


def lacking_programs() -> tuple[str, ...]:
    """Of those that the kind needs, what this host hasn't got."""
    return tuple(one for one in PROGRAMS if shutil.which(one, path="/usr/bin:/bin") is None)


def is_there(node: Node, spec: EnvironmentSpec) -> bool:
    """Whether nothing has to be fetched. Notes the image of a digest that this tenant was shown before."""
    library = Library(node)
    if spec.app is None or (spec.origin is not None and library.chosen(spec.id) is not None):
        return True
    if library.fits(spec):
        chosen = library.chosen(spec.id)
        if node.root_volume(spec.id).exists() or (chosen and library.kept(chosen.key)):
            return True
    reference = Registry(node, spec.app).reference
    known = library.shown(reference, spec.tenant_id, mark(spec.app.registry.signatures))
    if known is not None:
        library.choose(spec, known, reference.digest)
    return known is not None


def fetch(node: Node, spec: EnvironmentSpec, waiter: Waiter) -> Said:
    """Raises `RuntimeFault`; `Superseded` when it is interrupted."""
    assert spec.app is not None
    lacking = lacking_programs()
    if lacking:
        why = apps.lacks(", ".join(lacking))
        raise HostLacks(why, code="kind_unavailable", next_step=apps.install_them(), retryable=False)
    until = time.monotonic() + waiter.within_s
    library, registry = Library(node), Registry(node, spec.app)

    with _place(spec, waiter, until) as place:
        warm()
        waiter.tell(apps.asking(registry.reference.host))
        found = registry.resolve(lambda _: _look(waiter, place, registry))
        key = key_of(registry.reference.name, found.manifest)
        fits, here = mark(spec.app.registry.signatures), library.kept(key)
        if fits and (here is None or fits not in here.verified):
            waiter.tell(apps.verifying())
            registry.verify(found, lambda _: _look(waiter, place, registry))
        known = library.show(key, found.digest, spec.tenant_id, fits)
        said = apps.already_here(found.digest)
        if known is None:
            _Pull(node, spec, found, key, waiter).until(until, lambda: _look(waiter, place, registry), place)
            known = library.show(key, found.digest, spec.tenant_id, fits)
            if known is None:
                raise RuntimeFault(apps.image_gone(), code="image_missing")
            said = apps.fetched(found.digest, found.packed_bytes // MIB)
        library.choose(spec, known, found.digest)
        return said


def _look(waiter: Waiter, place: Held, registry: Registry) -> None:
    """Raises when it isn't to go on: what is wanted is something else by now, or others wait for the place."""
    if waiter.interrupted():
        raise Superseded(changes.superseded())
    if place.is_wanted_back:
        why = apps.gave_way(registry.reference.host, round(time.monotonic() - place.since))
        raise RuntimeFault(why, code="registry_slow", next_step=apps.look_at_the_registry())


@contextmanager
def _place(spec: EnvironmentSpec, waiter: Waiter, until: float) -> Iterator[Held]:
    """Waits for its turn. Raises `Superseded` when it is interrupted, or no time is left."""
    is_told = False
    while True:
        with FETCHES.place(spec.tenant_id) as place:
            if place is not None:
                yield place
                return
        if not is_told:
            waiter.tell(apps.waiting_for_others())
            is_told = True
        if waiter.interrupted() or time.monotonic() > until:
            raise Superseded(changes.superseded())
        time.sleep(_TURN_S)


class _Pull:
    """The job that fetches it, in a process of its own; behind others that fetch the same."""

    def __init__(self, node: Node, spec: EnvironmentSpec, found: Resolved, key: str, waiter: Waiter):
        assert spec.app is not None
        self.node, self.waiter = node, waiter
        most = spec.envelope.disk_mb * MIB if spec.envelope.disk_mb else MOST_BYTES
        self.job = JobSpec(
            node=node.name,
            id=uuid4(),
            about=Subject(type=SubjectType.IMAGE, id=key),
            work=PullApp(
                app=AppOptions(image=spec.app.image, registry=spec.app.registry),
                digest=found.digest,
                manifest=found.manifest,
                layers=found.layers,
                contents=found.contents,
                config=found.config,
                tenant_id=spec.tenant_id,
                most_bytes=min(most, MOST_BYTES),
            ),
            deadline_s=min(3600.0, max(1.0, waiter.within_s)),
        )
        self.last: JobReport | None = None
        self.is_over = threading.Event()

    def until(self, until: float, look: Callable[[], None], place: Held) -> None:
        """Waits for its end. Raises what it failed with, or what `look` raises."""
        thread = threading.Thread(target=self._do, daemon=True)
        thread.start()
        told: Said | None = None
        while not self.is_over.wait(_LOOK_S):
            place.share = self.last.progress if self.last else 0.0
            try:
                look()
                if time.monotonic() > until:
                    raise Superseded(changes.superseded())
            except RuntimeFault:
                JobRecords(self.node, self.job.id).accept(self.job.model_copy(update={"generation": 2}))
                raise
            said = self.last.message if self.last else apps.waiting_for_another()
            if said and said != told:
                told = said
                self.waiter.tell(said)
        thread.join()
        if self.last is None or self.last.outcome is not JobOutcome.SUCCEEDED:
            last = self.last
            raise RuntimeFault(
                last.message if last else apps.image_gone(),
                code=last.code if last and last.code else "image_missing",
                next_step=last.next_step if last else apps.look_at_the_registry(),
                retryable=last.retryable if last else True,
            )

    def _do(self) -> None:
        try:
            while not self._is_cancelled():
                try:
                    do_apart(self.node, self.job, self._hear)
                    return
                except NotYet:
                    time.sleep(_TURN_S)
        finally:
            self.is_over.set()

    def _is_cancelled(self) -> bool:
        return JobRecords(self.node, self.job.id).newest_generation() > self.job.generation

    def _hear(self, report: JobReport | Report) -> None:
        if isinstance(report, JobReport):
            self.last = report
