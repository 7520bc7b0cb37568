"""The recipes in samples/recipes work as far as a machine without them can see: their commands really run."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from km_cli.errors import Exit
from tests.support.command import KEY, Command

RECIPES = Path(__file__).parent.parent / "samples" / "recipes"
WORKFLOW, CONTAINER, DAG = (
    RECIPES / "github-actions.yml",
    RECIPES / "Containerfile",
    RECIPES / "airflow_dag.py",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a log and a km.toml, and `km-cli` on the path."""
    (tmp_path / "app.csv").write_text("user,account,event,timestamp\nada,7,Clicked,2024-03-01T09:00:00Z\n")
    (tmp_path / "km.toml").write_text(
        '[delivery]\nto = "local"\n\n[[backfill]]\nname = "app"\nfiles = ["app.csv"]\n'
    )
    program = tmp_path / "bin" / "km-cli"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m km_cli "$@"\n')
    program.chmod(0o755)
    return tmp_path


def run(folder: Path, words: list[str], **more: str) -> subprocess.CompletedProcess[str]:
    surroundings = Command(folder).surroundings()
    root = str(RECIPES.parent.parent)
    path = f"{folder / 'bin'}:{surroundings['PATH']}"
    environment = {**surroundings, "PATH": path, "PYTHONPATH": root, **more}
    return subprocess.run(
        words, cwd=folder, env=environment, text=True, capture_output=True, check=False, timeout=300
    )


def workflow() -> Any:
    yaml = pytest.importorskip("yaml", reason="needs PyYAML, of the dependency group `objects`")
    return yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))


def test_the_workflow_never_runs_twice_at_once_and_keeps_the_key_in_a_secret() -> None:
    found = workflow()
    assert found["concurrency"] == {"group": "kissmetrics-backfill", "cancel-in-progress": False}
    job = found["jobs"]["backfill"]
    assert job["env"]["KM_API_KEY"] == "${{ secrets.KM_API_KEY }}"
    assert "workspace" not in job["env"]["XDG_STATE_HOME"]
    assert not [step for step in job["steps"] if "cache" in str(step.get("uses", ""))]


@pytest.mark.slow
def test_the_steps_of_the_workflow_run(folder: Path) -> None:
    """As Actions runs them: `bash -e`, one after the other, twice."""
    steps = [step["run"] for step in workflow()["jobs"]["backfill"]["steps"] if "run" in step]
    assert len(steps) == 2
    for night in range(2):
        for step in steps:
            ended = run(
                folder, ["bash", "-e", "-o", "pipefail", "-c", step], XDG_STATE_HOME=str(folder / "state")
            )
            assert ended.returncode == 0, (night, step, ended.stderr)
    assert list((folder / "state").glob("backup-*.db"))


@pytest.mark.slow
def test_the_workflow_fails_for_rejects_and_not_for_a_run_that_goes_on(folder: Path) -> None:
    (send, _) = (step["run"] for step in workflow()["jobs"]["backfill"]["steps"] if "run" in step)
    for code, ends in ((0, 0), (75, 0), (65, 1), (69, 1), (2, 1)):
        (folder / "bin" / "km-cli").write_text(f"#!/bin/sh\nexit {code}\n")
        assert run(folder, ["bash", "-e", "-c", send]).returncode == ends, code


def test_the_container_runs_as_nobody_special_and_keeps_its_state_in_a_volume() -> None:
    text = CONTAINER.read_text(encoding="utf-8")
    words = dict(re.findall(r"^(\w+) (.*)$", text, re.MULTILINE))
    assert words["USER"].isdigit()
    assert words["USER"] != "0"
    assert f"XDG_STATE_HOME={words['VOLUME']}" in words["ENV"]
    assert words["STOPSIGNAL"] == "SIGTERM"
    assert KEY not in text
    assert "KM_API_KEY" not in text


def test_the_command_of_the_container_is_one(folder: Path) -> None:
    words = dict(re.findall(r"^(ENTRYPOINT|CMD) (.*)$", CONTAINER.read_text(encoding="utf-8"), re.MULTILINE))
    assert json.loads(words["ENTRYPOINT"]) == ["km-cli"]
    command = [word.replace("/data", str(folder)) for word in json.loads(words["CMD"])]
    Command(folder)(*command).ended(0)


def test_the_dag_knows_every_exit_code_once() -> None:
    tree = ast.parse(DAG.read_text(encoding="utf-8"))
    compile(tree, str(DAG), "exec")
    tables = _constants(tree)
    assert not set(tables["RETRY"]) & set(tables["FAIL"])
    assert {0, *tables["RETRY"], *tables["FAIL"]} == {int(code) for code in Exit}


def test_the_command_of_the_dag_is_one(folder: Path) -> None:
    _, *words = _constants(ast.parse(DAG.read_text(encoding="utf-8")))["COMMAND"]
    Command(folder)(*(word.replace("km.toml", str(folder / "km.toml")) for word in words)).ended(0)


def _constants(tree: ast.Module) -> dict[str, Any]:
    return {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
