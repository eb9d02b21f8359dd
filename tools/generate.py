"""Writes every derived file of the project; each generator names its files and their texts.

`python -m tools.generate` writes the files; with `--check` it writes nothing and names those that differ. Only
communes.csv is written by itself (`tools.make_communes`): its source is a package, and changes with its version.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from paperless.operations import strimzi
from runtime import command_line
from tools import asyncapi, make_profiles, page_facts, reasons, settings_page, topics_page

ROOT = Path(__file__).resolve().parent.parent
GENERATORS = (asyncapi, topics_page, strimzi, settings_page, make_profiles, page_facts, reasons)


def files() -> Mapping[str, str]:
    """Return the text of every derived file by its path in the project."""
    return {path: text for generator in GENERATORS for path, text in generator.files().items()}


def publish(texts: Mapping[str, str], *, check: bool, root: Path = ROOT) -> list[str]:
    """Write the texts to their paths below `root`, or only compare; return the paths that differed."""
    differ = [path for path, text in texts.items() if _present(root / path) != text]
    for path in [] if check else differ:
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(texts[path], "utf-8")
    return differ


def _present(path: Path) -> str | None:
    return path.read_text("utf-8") if path.exists() else None


def run(texts: Mapping[str, str], arguments: Sequence[str] | None = None) -> int:
    """Publish as the command line says; return the exit code: 1 when `--check` finds a difference."""
    parser = argparse.ArgumentParser(prog="python -m tools.generate", description="Write the project's derived files.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file is out of date")
    check = parser.parse_args(arguments).check
    differ = publish(texts, check=check)
    for path in differ:
        print(f"{path}: {'out of date; run make generate' if check else 'written'}")
    return 1 if check and differ else 0


if __name__ == "__main__":
    command_line.run(lambda: run(files()))
