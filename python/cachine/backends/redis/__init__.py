"""Caches in Redis: :mod:`~cachine.backends.redis.sync` for threads,
:mod:`~cachine.backends.redis.async_` for tasks."""
