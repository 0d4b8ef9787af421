from django.urls import path

from panel.operations import views

urlpatterns = [
    path("operations/", views.operations, name="operations"),
    path("operations/<uuid:operation_id>/", views.operation, name="operation"),
    path("operations/<uuid:operation_id>/retry", views.retry, name="operation-retry"),
    path("operations/<uuid:operation_id>/cancel", views.cancel, name="operation-cancel"),
]
