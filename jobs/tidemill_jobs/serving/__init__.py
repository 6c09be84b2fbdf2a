"""
An endpoint over HTTP: one event loop, and threads for what would hold it up.

`http1` reads and writes what HTTP/1.1 says, `connection` minds one caller, `invocation` answers
one request's rows, `server` accepts, routes and drains.
"""
