"""Who comes in: members and their roles, invitations, shares of single environments, support."""
