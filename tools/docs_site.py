"""The documentation as a site: `python -m tools.docs_site` builds build/site, without network.

Pages stay where they are read in the repository; they are copied beside each other, and links to files that are no
pages become plain words. What leads nowhere is an error, and so is what a page would load from elsewhere.
"""

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from runtime.command_line import run

ROOT = Path(__file__).resolve().parent.parent
SOURCE, SITE = ROOT / "build/site-source", ROOT / "build/site"
FOLDERS = ("deploy", "docs", "domain", "examples", "services", "tests")
LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
# What a browser would fetch by itself.
LOADS = re.compile(r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["'](?:https?:)?//|<link\b[^>]*\brel=["']?"""
                   r"""(?:stylesheet|preconnect|icon)\b[^>]*\bhref=["'](?:https?:)?//""")  # fmt: skip
CLEAN, FAULTS = 0, 1


def pages() -> list[Path]:
    """Return the pages of the project, by their paths in it."""
    inside = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.md")]
    return sorted(path.relative_to(ROOT) for path in [*ROOT.glob("*.md"), *inside])


def on_the_site(text: str, page: Path, known: frozenset[Path]) -> str:
    """Return a page's text with only those links that lead to a page, a picture or another site."""

    def kept(found: re.Match[str]) -> str:
        words, target = found.groups()
        if re.match(r"[a-z]+:|#", target):
            return found[0]
        path = (ROOT / page.parent / target.partition("#")[0]).resolve().relative_to(ROOT)
        return found[0] if path in known else words

    return LINK.sub(kept, text)


def copy() -> None:
    """Write the pages and their pictures to build/site-source."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    pictures = [path.relative_to(ROOT) for path in (ROOT / "docs/pictures").iterdir()]
    known = frozenset([*pages(), *pictures])
    for path in known:
        (SOURCE / path).parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".md":
            (SOURCE / path).write_text(on_the_site((ROOT / path).read_text("utf-8"), path, known), "utf-8")
        else:
            shutil.copy(ROOT / path, SOURCE / path)


def loaded_from_elsewhere() -> Iterator[str]:
    """Yield what pages of the built site would fetch from other hosts."""
    for path in SITE.rglob("*.html"):
        for found in LOADS.finditer(path.read_text("utf-8")):
            yield f"{path.relative_to(SITE)}: {found[0]}"


def build() -> int:
    """Build the site and return the exit code."""
    argparse.ArgumentParser(prog="python -m tools.docs_site", description=str(__doc__)).parse_args()
    copy()
    command = (sys.executable, "-m", "mkdocs", "build", "--strict", "--clean", "--quiet")
    if subprocess.run(command, cwd=ROOT, check=False).returncode:  # noqa: S603  our own arguments, no shell
        return FAULTS
    faults = sorted(loaded_from_elsewhere())
    for fault in faults:
        print(fault)
    if not faults:
        print(f"the documentation is in {(SITE / 'index.html').relative_to(ROOT)}")
    return FAULTS if faults else CLEAN


if __name__ == "__main__":
    run(build)
