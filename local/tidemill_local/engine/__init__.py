"""
The only package that imports ministack: one module per hook, each with `check()` and `apply()`.

ministack reads its settings from the environment while it is imported, so nothing here may be
imported before `environment.enter` has run; `__main__` sees to that.
"""
