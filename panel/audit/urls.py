from django.urls import path

from panel.audit import views

urlpatterns = [
    path("audit/", views.audit, name="audit"),
    path("audit/export", views.export, name="audit-export"),
]
