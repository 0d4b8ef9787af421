"""One change as a person sees it: steps, times, result, retry, cancel."""
