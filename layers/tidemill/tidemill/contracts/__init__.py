"""
Every shape that crosses a boundary: events, queue messages, each function's input.

Plain frozen dataclasses, read by `parse`; a module per topic, so that a function loads no more than
it needs. What AWS sends may grow, so unknown keys of events are left out; what is missing or of
another type is refused by name.
"""
