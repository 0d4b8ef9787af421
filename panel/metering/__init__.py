"""How much traffic each environment had in which month, and what happens when its plan has no more."""
