from django.urls import path

from panel.backups import target_views, views
from panel.backups import views_of_volume_schedules as scheduled_volumes
from panel.backups import views_of_volumes as of_volumes

_TARGET = "backup-targets/<uuid:target_id>"
_OF_VOLUME = "backups/volumes/<uuid:backup_id>"
_SCHEDULE = "volumes/<uuid:volume_id>/backups/schedule"
_ONE = "environments/<uuid:environment_id>/backups"

urlpatterns = [
    path(_ONE, views.of_environment, name="environment-backups"),
    path(f"{_ONE}/make", views.make, name="backup-make"),
    path(f"{_ONE}/schedule", views.set_schedule, name="backup-schedule-set"),
    path(f"{_ONE}/schedule/delete", views.delete_schedule, name="backup-schedule-delete"),
    path("backups/volumes/", of_volumes.everywhere, name="volume-backups"),
    path(_SCHEDULE, scheduled_volumes.schedule, name="volume-backup-schedule"),
    path(f"{_SCHEDULE}/set", scheduled_volumes.set_schedule, name="volume-backup-schedule-set"),
    path(f"{_SCHEDULE}/delete", scheduled_volumes.delete_schedule, name="volume-backup-schedule-delete"),
    path(f"{_OF_VOLUME}/files", of_volumes.look, name="volume-backup-files"),
    path(f"{_OF_VOLUME}/restore", of_volumes.restore, name="volume-backup-restore"),
    path(f"{_OF_VOLUME}/new", of_volumes.new, name="volume-backup-new"),
    path(f"{_OF_VOLUME}/delete", of_volumes.delete, name="volume-backup-delete"),
    path("backups/", views.everywhere, name="backups"),
    path("backups/<uuid:backup_id>/restore", views.restore_in_place, name="backup-restore"),
    path("backups/<uuid:backup_id>/files", views.look, name="backup-files"),
    path("backups/<uuid:backup_id>/prove", views.prove, name="backup-prove"),
    path("backups/<uuid:backup_id>/new", views.restore_as_new, name="backup-new"),
    path("backups/<uuid:backup_id>/keep", views.keep, name="backup-keep"),
    path("backups/<uuid:backup_id>/delete", views.delete, name="backup-delete"),
    path(f"{_TARGET}/", target_views.target, name="backup-target"),
    path(f"{_TARGET}/check", target_views.check_target, name="backup-target-check"),
    path(f"{_TARGET}/forget-key", target_views.forget_key, name="backup-target-forget-key"),
    path(f"{_TARGET}/remove", target_views.remove_target, name="backup-target-remove"),
]
