"""Events for browsers: one WebSocket per page, one group per tenant."""
