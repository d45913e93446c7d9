"""What was measured for the decorators of other libraries, row by row.

CPython 3.11, one process for each measurement, the versions as named. ``Y`` it does; ``p`` in part,
or only when asked to; ``-`` it does not; ``.`` does not apply or was not measured.
"""

LIBRARIES = {
    "cachine 0.1.2 (the original)": "CO",
    "cashews 7.6.0": "CW",
    "aiocache 0.12.3": "AI",
    "dogpile.cache 1.5.0": "DP",
    "Django 5.2.19": "DJ",
    "Flask-Caching 2.5.1": "FC",
    "fastapi-cache2 0.2.2": "FA",
    "zoocache 2026.4.9": "ZO",
    "cachetools 5.5.2 and 8.0.1": "CT",
    "cachebox 6.2.10": "CB",
    "theine 2.0.0": "TH",
    "moka-py 0.5.0": "MP",
    "diskcache 5.6.3": "DC",
    "async-lru 2.4.0": "AL",
}

#: In the order of the libraries above, and ours behind the bar: without a server there is none
#: that could freeze, so that row of ours is for the backends that have one.
PEERS = {
    #                                          CO CW AI DP DJ FC FA ZO CT CB TH MP DC AL | ours
    "1, True and 1.0 are different keys": "    Y  Y  Y  Y  .  Y  Y  Y  -  -  -  -  Y  -  | Y",
    "f(1), f(a=1), f(1, default) share a key": "-  p  -  Y  .  Y  -  -  -  -  -  -  -  -  | Y",
    "unhashable arguments, in any order": "    p  Y  p  p  .  p  p  p  -  -  -  -  p  -  | Y",
    "an address used anew means nothing": "    Y  -  -  -  .  -  -  .  Y  Y  Y  Y  Y  Y  | Y",
    "a method's cache does not keep self": "   Y  Y  Y  Y  .  Y  Y  .  -  -  -  -  Y  -  | Y",
    "None is kept by default": "               -  Y  -  Y  .  -  Y  Y  Y  Y  Y  Y  Y  Y  | p",
    "a failing leader fails once for all": "   -  Y  -  -  .  -  -  Y  -  Y  -  p  -  Y  | Y",
    "a cancelled leader strands nobody": "     Y  -  p  .  .  .  p  -  .  -  -  p  .  Y  | Y",
    "recursion on one key does not hang": "    -  .  .  -  .  .  .  -  -  -  -  -  .  .  | Y",
    "several event loops share one load": "    Y  -  p  .  .  .  p  Y  .  -  -  p  .  p  | Y",
    "an invalidation during a load wins": "    -  -  -  -  .  .  .  -  -  Y  .  -  -  Y  | Y",
    "an undecodable payload is a miss": "      -  -  Y  p  -  Y  -  Y  .  .  .  .  .  .  | Y",
    "a frozen server costs a bounded wait": "  -  Y  p  -  -  -  -  p  .  .  .  .  .  .  | .",
    "with a refused server it still answers": " -  Y  Y  -  -  Y  Y  -  .  .  .  .  .  .  | Y",
    "a mutable value is the caller's own": "   -  p  -  -  Y  Y  Y  -  -  p  -  -  Y  -  | -",
    "checkers keep the signature": "           -  p  -  -  .  Y  p  p  p  p  Y  p  p  p  | Y",
}
