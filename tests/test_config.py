"""`km-cli config`: the settings in force and their sources, and the schema of km.toml."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from km_cli.config import kmtoml, kmtoml_file
from km_cli.config.plans import Plan, Plans, make_plans
from tests.support.command import KEY, Command

WHOLE = """
allow_id = ["guest"]

[columns]
event = "what"
timestamp = "when"
timezone = "Europe/Berlin"
properties = ["plan"]

[sites.main]
key_env = "KM_API_KEY"
[sites."a.b"]
key_file = "key"

[[personas]]
name = "user"
column = "who"
link = { "The Account" = "account" }

[[personas]]
name = "account"
events = { "Signed \\"Up\\"" = "Account Signed Up" }
properties = []
prefix = "acct "
site = "a.b"
set = ["plan"]

[members]
file = "users.csv"
user = "email"
account = "company"

[delivery]
concurrency = 32
rate = 2.5

[plans]
"Very \\"Big\\"" = { events = 9_000_000, price = 1000 }
Free = { events = 10, price = 0 }

[[backfill]]
name = "exports"
files = ["exports/*.csv.gz", 'a\\b "c"']
since = "2024-01-31"

[[backfill]]
name = "app logs"
files = ["logs/%Y/%m/%d/"]
until = "2025-01-01T00:00:00+01:00"
optional = true
"""


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A km.toml with a key in every table."""
    path = tmp_path / "km.toml"
    path.write_text(WHOLE)
    return path


def test_what_is_shown_is_the_same_km_toml(km: Command, whole: Path, tmp_path: Path) -> None:
    """The output of `config show` is a km.toml that gives the same output."""
    shown = km("config", "show", "--config", whole).ended(0).out
    again = tmp_path / "again.toml"
    again.write_text(shown)
    first, second = kmtoml_file.read(whole), kmtoml_file.read(again)
    assert (second.personas, second.sites, second.members) == (first.personas, first.sites, first.members)
    assert second.allow_id == first.allow_id
    assert second.backfill == first.backfill
    assert second.plans == first.plans != {}
    assert "optional = false" not in shown
    assert km("config", "show", "--config", again).ended(0).out.splitlines()[1:3] == [
        "# strategy =                              # not set",
        'allow_id = ["guest"]                      # km.toml',
    ]


def test_every_value_is_shown_with_its_source(tmp_path: Path, whole: Path) -> None:
    km = Command(tmp_path, environment={"KM_CLI_CONCURRENCY": "7", "KM_CLI_TO": "local"})
    told = json.loads(km("config", "show", "--config", whole, "--json").ended(0).out)
    assert told["delivery.concurrency"] == {"value": 7, "source": "environment, KM_CLI_CONCURRENCY"}
    assert told["delivery.to"] == {"value": "local", "source": "environment, KM_CLI_TO"}
    assert told["delivery.rate"] == {"value": 2.5, "source": "km.toml"}
    assert told["delivery.attempts"] == {"value": 10, "source": "default"}
    assert told["columns.properties"] == {"value": ["plan"], "source": "km.toml"}
    assert told["columns.user"] == {"value": None, "source": "not set"}


def test_whether_a_key_is_set_is_shown_and_never_the_key(km: Command, whole: Path) -> None:
    (whole.parent / "key").write_text("a-secret-of-a-file")
    shown = km("config", "show", "--config", whole).ended(0).out
    assert "the key is in KM_API_KEY, which is set" in shown
    assert "the key is in key" in shown
    assert KEY not in shown
    assert "a-secret-of-a-file" not in shown


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_password_in_a_url_is_not_shown(km: Command, tmp_path: Path, form: list[str]) -> None:
    path = tmp_path / "km.toml"
    path.write_text('[delivery]\nto = "https://ada:hush@hush/x@example.com"\n')
    shown = km("config", "show", "--config", path, *form).ended(0).out
    assert "https://***@example.com" in shown
    assert "hush" not in shown


def test_nothing_there_is_no_error(km: Command) -> None:
    shown = km("config", "show", "--config", "").ended(0).out
    assert shown.startswith("# there is no km.toml in this folder")
    assert tomllib.loads(shown)["delivery"]["to"] == "kissmetrics"


def test_a_mistake_in_km_toml_is_reported(km: Command, tmp_path: Path) -> None:
    path = tmp_path / "km.toml"
    path.write_text("[delivery]\nconcurency = 3\n")
    result = km("config", "show", "--config", path).ended(2)
    assert "delivery.concurency is not a known key" in result.err
    assert "did you mean delivery.concurrency?" in result.err


def test_plans_of_km_toml_stand_in_for_the_public_ones(whole: Path) -> None:
    """The smallest first."""
    assert make_plans(kmtoml.KmToml()) == Plans()
    own = make_plans(kmtoml_file.read(whole)).plans
    assert own == (Plan("Free", 10, 0), Plan('Very "Big"', 9_000_000, 1000))


def test_the_schema_knows_every_table(km: Command) -> None:
    """It is valid JSON Schema, has the keys of km.toml and forbids others."""
    schema = json.loads(km("config", "schema").ended(0).out)
    top = schema["$defs"]["KmToml"]
    assert set(top["properties"]) == set(kmtoml.KmToml.__struct_fields__)
    assert top["additionalProperties"] is False
    persona = schema["$defs"]["PersonaTable"]
    assert persona["required"] == ["name"]
    assert "link" in persona["properties"]
    backfill = schema["$defs"]["BackfillTable"]
    assert backfill["required"] == ["name"]
    assert backfill["properties"]["files"]["minItems"] == 1
