"""What an installation is set up and looked after with: the commands of `manage.py`."""
