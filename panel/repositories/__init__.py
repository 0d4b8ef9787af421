"""The registry of the installation: who pushes and pulls where, what lies there, and what it may take."""
