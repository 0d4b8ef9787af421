"""Sending what an app writes to a store of logs that its tenant named."""
