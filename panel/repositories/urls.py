from django.urls import path

from panel.repositories import tokens, views

urlpatterns = [
    path("registry/token", tokens.token, name="registry-token"),
    path("repositories/", views.repositories, name="repositories"),
    path("repositories/remove", views.remove, name="repository-remove"),
    path("repositories/archive", views.archive_of, name="repository-archive"),
    path("environments/<uuid:environment_id>/commit", views.commit_it, name="environment-commit"),
]
