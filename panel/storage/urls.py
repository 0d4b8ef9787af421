from django.urls import path

from panel.storage import views

_ONE = "environments/<uuid:environment_id>/snapshots"

urlpatterns = [
    path(_ONE, views.snapshots, name="environment-snapshots"),
    path("environments/<uuid:environment_id>/files", views.files_now, name="environment-files"),
    path(f"{_ONE}/take", views.take, name="snapshot-take"),
    path(f"{_ONE}/<uuid:snapshot_id>/files", views.files, name="snapshot-files"),
    path(f"{_ONE}/<uuid:snapshot_id>/changes", views.changes, name="snapshot-changes"),
    path(f"{_ONE}/schedule", views.set_schedule, name="schedule-set"),
    path(f"{_ONE}/schedule/delete", views.delete_schedule, name="schedule-delete"),
    path(f"{_ONE}/<uuid:snapshot_id>/restore", views.restore, name="snapshot-restore"),
    path(f"{_ONE}/<uuid:snapshot_id>/clone", views.clone, name="snapshot-clone"),
    path(f"{_ONE}/<uuid:snapshot_id>/delete", views.delete, name="snapshot-delete"),
]
