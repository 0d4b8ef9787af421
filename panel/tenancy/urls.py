from django.urls import path

from panel.tenancy import views

urlpatterns = [
    path("tenants/", views.tenants, name="tenants"),
    path("tenants/create", views.create, name="tenant-create"),
    path("tenants/<uuid:tenant_id>/", views.tenant, name="tenant"),
    path("tenants/<uuid:tenant_id>/quota", views.quota, name="tenant-quota"),
    path("tenants/<uuid:tenant_id>/delete", views.delete, name="tenant-delete"),
    path("tenants/<uuid:tenant_id>/keep", views.keep, name="tenant-keep"),
    path("tenants/<uuid:tenant_id>/trash", views.trash, name="tenant-trash"),
    path("tenants/<uuid:tenant_id>/state", views.state, name="tenant-state"),
]
