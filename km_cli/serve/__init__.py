"""`km-cli serve`: a tracker on this machine that keeps what Kissmetrics would keep, and shows it.

The rules of Kissmetrics are in `standin/`; this folder is the server around its store.

- `settings.py` holds the settings of a server; `running.py` starts and ends it.
- `guard.py` checks every request: its Host, its Origin, and errors. `app.py` gives each path to its handler.
- `tracker.py` takes calls: `sites.py` replaces their key, `faults.py` may spoil the answer, and `writer.py`
  keeps them in batches.
- `api.py` is the API for tests and for the page, over `views.py`; `stream.py` sends calls as they arrive.
- `query_api.py` and `export.py` answer as Kissmetrics' own Query API and data export do.
- `fixture.py` has the pytest fixture `kissmetrics_standin`. `page/` is the Live page.

Starlette and uvicorn are the extra `serve`. Both are small and need no compiler. Calls go past Starlette:
they are plain ASGI, because a call needs no routing. uvicorn streams, bounds the head of a request and ends
cleanly.
"""
