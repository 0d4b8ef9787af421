from django.urls import path

from panel.jails import base_views, views

urlpatterns = [
    path("jails/", views.everywhere, name="jails"),
    path("jails/bases/", base_views.bases, name="jail-bases"),
    path("jails/bases/<uuid:update_id>/rollback", base_views.roll_back, name="jail-bases-rollback"),
]
