"""
An endpoint over HTTP: a process per core, each an event loop, and threads for what is slow.

`http1` reads and writes what HTTP/1.1 says, `connection` minds one caller, `invocation` answers
one request's rows, `server` routes and drains, `door` lets callers in, `life` is a whole process,
and `workers` the parent of several.
"""
