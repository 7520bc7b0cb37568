"""Queries as inputs: the rows of a database, as JSON lines in the order of a column.

`source.py` is the input that the pipeline reads. `text.py` puts a query's text together. Each database is one
file (`sqlite.py`, `duckdb.py`, `postgresql.py`) behind the protocol of `base.py`.

The libraries are those of the databases themselves, not SQLAlchemy: the three of them stream, stop, open
read-only and name their types in ways of their own, and just these things are not the same above them.
"""
