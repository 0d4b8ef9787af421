"""Who comes in, and by what: members and roles, invitations, shares of single environments, support, tokens."""
