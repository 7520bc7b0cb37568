"""Does Kissmetrics hold the calls that were sent? By its Query API, or by its data export.

By the Query API, name by name:

- `query_v3.py` is the adapter of one version of the API, over `asking.py` (HTTP) and `pace.py` (15 requests
  a minute).
- `own.py` reads what the ledger expects, `products.py` says which product stands for which site.
- `snapshot.py` has both at one time, as values and as a file.
- `judging.py` compares one event, `comparing.py` whole sites. Both are pure. `result.py` has the exit code.

Whatever the API answers unexpectedly is "could not be checked", and never a finding.

`export/` compares a data export call by call.
"""
