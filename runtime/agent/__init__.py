"""The node agent: exec, consoles and terminals for the panel; watches, mends and measures by itself."""
