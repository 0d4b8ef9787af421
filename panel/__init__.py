"""The web panel: owns what is wanted, never touches a host."""
