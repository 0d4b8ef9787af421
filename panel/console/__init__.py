"""Consoles and terminals: from the browser's WebSocket to the node's agent and back."""
