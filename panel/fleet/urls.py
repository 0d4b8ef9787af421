from django.urls import path

from panel.fleet import capacity_views, cpu_pools_views, devices_views, views

urlpatterns = [
    path("cpu-pools/", cpu_pools_views.pools, name="cpu-pools"),
    path("cpu-pools/<uuid:pool_id>/remove", cpu_pools_views.remove, name="cpu-pool-remove"),
    path("devices/", devices_views.list_, name="host-devices"),
    path("devices/<uuid:device_id>/remove", devices_views.remove, name="host-device-remove"),
    path("capacity/", capacity_views.capacity, name="capacity"),
    path("nodes/<uuid:node_id>/overcommit", capacity_views.overcommit, name="node-overcommit"),
    path("nodes/", views.nodes, name="nodes"),
    path("nodes/leaks/", views.leaks, name="node-leaks"),
    path("nodes/<uuid:node_id>/", views.node, name="node"),
    path("nodes/<uuid:node_id>/survey", views.survey, name="node-survey"),
    path("nodes/<uuid:node_id>/address", views.address, name="node-address"),
    path("nodes/<uuid:node_id>/state", views.state, name="node-state"),
]
