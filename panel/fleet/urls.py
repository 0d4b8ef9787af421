from django.urls import path

from panel.fleet import capacity_views, views

urlpatterns = [
    path("capacity/", capacity_views.capacity, name="capacity"),
    path("nodes/<uuid:node_id>/overcommit", capacity_views.overcommit, name="node-overcommit"),
    path("nodes/", views.nodes, name="nodes"),
    path("nodes/leaks/", views.leaks, name="node-leaks"),
    path("nodes/<uuid:node_id>/", views.node, name="node"),
    path("nodes/<uuid:node_id>/survey", views.survey, name="node-survey"),
    path("nodes/<uuid:node_id>/address", views.address, name="node-address"),
    path("nodes/<uuid:node_id>/state", views.state, name="node-state"),
]
