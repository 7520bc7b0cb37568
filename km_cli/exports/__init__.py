"""Exports of other tools: recognised by their content, and read by a table for each tool (README.md)."""

from __future__ import annotations

from km_cli.exports.recognition import RECORDS, likely_export, recognise_export, value_in
from km_cli.exports.resolving import ExportColumns, columns_of
from km_cli.exports.tables import ColumnsOfExport, ExportTable, export_tables, parse_table
from km_cli.exports.writing import export_toml

NO_EXPORT = "none"
"""The value of --export for an input that is read by its columns alone."""

__all__ = [
    "NO_EXPORT",
    "RECORDS",
    "ColumnsOfExport",
    "ExportColumns",
    "ExportTable",
    "columns_of",
    "export_tables",
    "export_toml",
    "likely_export",
    "parse_table",
    "recognise_export",
    "value_in",
]
