"""How requests are served: whose turn it is, what waits without a thread, and how much of it one may have.

The web process is an ASGI server around Django's ordinary, threaded application. A request waits for a thread
in `turns`, runs in a `lane`, and, where its answer depends on somebody else (a node, a slow reader, the first
request with the same key), gives the thread back and goes on as `later`.
"""
