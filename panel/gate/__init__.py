"""The gate: what comes from outside is text that can be kept, or it is refused before anybody looks at it.

`text` knows what can't be kept, `requests` looks at HTTP, `sockets` at WebSockets, `bodies` reads JSON and
`parameters` knows which query parameters an operation of the API has.
"""
