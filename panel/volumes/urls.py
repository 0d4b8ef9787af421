from django.urls import path

from panel.volumes import views
from panel.volumes import views_of_one as one

_ONE = "environments/<uuid:environment_id>/volumes"
_VOLUME = "volumes/<uuid:volume_id>"
_SNAPSHOT = f"{_VOLUME}/snapshots/<uuid:snapshot_id>"

urlpatterns = [
    path(_ONE, views.of_environment, name="environment-volumes"),
    path(f"{_ONE}/attach", views.attach, name="volume-attach"),
    path(f"{_ONE}/<uuid:volume_id>/detach", views.detach, name="volume-detach"),
    path("volumes/", views.everywhere, name="volumes"),
    path(f"{_VOLUME}/", one.volume, name="volume"),
    path(f"{_VOLUME}/snapshots/take", one.take, name="volume-snapshot-take"),
    path(f"{_SNAPSHOT}/restore", one.restore, name="volume-snapshot-restore"),
    path(f"{_SNAPSHOT}/clone", one.clone, name="volume-snapshot-clone"),
    path(f"{_SNAPSHOT}/delete", one.delete, name="volume-snapshot-delete"),
    path(f"{_VOLUME}/schedule", one.set_schedule, name="volume-schedule-set"),
    path(f"{_VOLUME}/schedule/delete", one.delete_schedule, name="volume-schedule-delete"),
    path(f"{_VOLUME}/resize", views.resize, name="volume-resize"),
    path(f"{_VOLUME}/delete", views.delete, name="volume-delete"),
]
