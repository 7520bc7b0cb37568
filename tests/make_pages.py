"""Writes what the pages show of the tool: `python -m tests.make_pages`.

It runs the commands in the `console` blocks of README.md and samples/README.md and writes their output below
them. It writes the help of all commands into km_cli/cli/REFERENCE.md, and the texts of all findings and
rejects into km_cli/rules/kissmetrics.md. `test_pages.py` checks that nothing has to be written. To
show a part of an output, cut it in the command itself (`| head -5`).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from km_cli.rules import CATALOGUE, Severity

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "km_cli" / "cli" / "REFERENCE.md"
FACTS = ROOT / "km_cli" / "rules" / "kissmetrics.md"
WALKTHROUGHS = (ROOT / "README.md", ROOT / "samples" / "README.md")

_BEGIN = "<!-- help: written by tests/make_pages.py -->\n"
_END = "<!-- end of help -->\n"
_BEGIN_FINDINGS = "<!-- findings: written by tests/make_pages.py -->\n"
_END_FINDINGS = "<!-- end of findings -->\n"
_BLOCK = re.compile(r"(?<=^```console\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)


def output(*arguments: str) -> str:
    """Return what the command prints, 80 columns wide as on the page."""
    environment = {**os.environ, "COLUMNS": "80"}
    words = [sys.executable, "-m", "km_cli", *arguments]
    return subprocess.run(words, capture_output=True, text=True, check=True, env=environment).stdout


def commands(*above: str) -> list[str]:
    """Return the names of all commands in the order of the help, those of a group as `config show`."""
    listed = output(*above, "--help").partition("Commands:\n")[2]
    found = [line.split()[0] for line in listed.splitlines() if line.startswith("  ") and line[2] != " "]
    below = ([" ".join((*above, name)), *commands(*above, name)] for name in found)
    return [name for names in below for name in names]


def with_help(text: str) -> str:
    """Return the reference with the help as it is now."""
    before, _, rest = text.partition(_BEGIN)
    after = rest.partition(_END)[2]
    blocks = [f"### km-cli {name}\n\n```text\n{output(*name.split(), '--help')}```\n" for name in commands()]
    return before + _BEGIN + "\n" + "\n".join(blocks) + "\n" + _END + after


def with_findings(text: str) -> str:
    """Return the page of facts with the texts of all findings and rejects as they are now."""
    before, _, rest = text.partition(_BEGIN_FINDINGS)
    after = rest.partition(_END_FINDINGS)[2]
    gravest_first = list(Severity)
    found = [about for about in CATALOGUE.values() if about.severity is not Severity.FACT]
    found.sort(key=lambda about: (gravest_first.index(about.severity), about.code))
    lines = ["| code | effect | meaning | what to do |", "|---|---|---|---|"]
    for about in found:
        formerly = "".join(f", formerly `{code}`" for code in about.formerly)
        texts = (text.replace("|", "\\|") for text in (about.meaning, about.cure))
        lines.append(f"| `{about.code}`{formerly} | {about.severity.value} | {' | '.join(texts)} |")
    return before + _BEGIN_FINDINGS + "\n" + "\n".join(lines) + "\n\n" + _END_FINDINGS + after


def sections(text: str) -> list[str]:
    """Return the sections of a page, from one heading of level two to the next; joined, they are the page."""
    return re.split(r"(?m)^(?=## )", text)


def with_output(section: str) -> str:
    """Return a section with the output that the commands in its `console` blocks have now.

    They run one after the other in a folder of their own that has the samples, and that is shown as `~`.
    """
    lines = [line[2:] for block in _BLOCK.findall(section) for line in block.splitlines() if line[:2] == "$ "]
    if not lines:
        return section
    shown = iter(_run(lines))

    def rewritten(block: re.Match[str]) -> str:
        asked = [line for line in block[0].splitlines() if line[:2] == "$ "]
        return "".join(f"{line}\n{next(shown)}" for line in asked)

    return _BLOCK.sub(rewritten, section)


def _run(lines: list[str]) -> list[str]:
    """Run lines in one shell; return what each printed, standard error included."""
    # The code of each line is kept, so that the next one may ask for it: `echo $?`.
    script = "\n".join(f"{line}\ncode=$?; printf '\\0'; (exit $code)" for line in lines)
    with TemporaryDirectory() as name:
        home = Path(name).resolve()
        (home / "samples").symlink_to(ROOT / "samples")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("KM_", "XDG_"))}
        path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
        environment = {**kept, "PATH": path, "HOME": str(home), "KM_API_KEY": "0" * 40}
        ran = subprocess.run(
            ["bash", "-c", script],
            cwd=home,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return ran.stdout.replace(str(home), "~").split("\0")


def main() -> None:
    """Write all pages anew."""
    for page in WALKTHROUGHS:
        text = page.read_text(encoding="utf-8")
        page.write_text("".join(map(with_output, sections(text))), encoding="utf-8")
    FACTS.write_text(with_findings(FACTS.read_text(encoding="utf-8")), encoding="utf-8")
    REFERENCE.write_text(with_help(REFERENCE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
