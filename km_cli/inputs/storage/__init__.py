"""Where inputs lie: files on this machine (`local.py`), objects of an object store (`objects.py`).

`registry.py` says which storage a name belongs to. `base.py` has what both promise.
"""
