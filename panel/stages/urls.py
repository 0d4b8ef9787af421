from django.urls import path

from panel.stages import views

_ONE = "stages/<uuid:stage_id>"

urlpatterns = [
    path("stages/", views.board, name="stages"),
    path(f"{_ONE}/", views.change, name="stage"),
    path(f"{_ONE}/promote", views.promote, name="stage-promote"),
    path(f"{_ONE}/rollback", views.rollback, name="stage-rollback"),
    path(f"{_ONE}/approve", views.approve, name="stage-approve"),
    path(f"{_ONE}/deploy", views.deploy, name="stage-deploy"),
    path(f"{_ONE}/remove", views.remove, name="stage-remove"),
]
