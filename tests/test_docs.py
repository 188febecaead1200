"""README and docs: short where it should be, linked where it can be, numbers that come from somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gscodec.cli.commands import load

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted((ROOT / "docs").glob("*.md"))


def test_the_readme_is_short() -> None:
    """One picture, one table, two commands of make to begin with; the rest is in docs/."""
    assert len(README.splitlines()) <= 150
    assert README.count("![") == 1
    assert len(re.findall(r"^\| ---", README, re.MULTILINE)) == 1
    assert re.findall(r"^make ([a-z]+)", README, re.MULTILINE) == ["demo", "test"]


def test_numbers_of_the_readme_are_those_of_the_benchmark() -> None:
    """Sizes, PSNR and seconds of its table stand in docs/quality.md, in rows of the same scene."""
    quality = (ROOT / "docs/quality.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (mic|fox|plant|playbot) \|(.*)\|$", README, re.MULTILINE)
    assert rows
    for scene, cells in rows:
        section = re.split(r"^## ", quality, flags=re.MULTILINE)
        own = "".join(part for part in section if part.startswith((f"{scene}: ", "At equal")))
        for number in re.findall(r"\d[\d,.]*\d", cells):
            assert re.search(rf"(?<![\d,.]){re.escape(number)}(?![\d,.]*\d)", own), number


def test_commands_of_the_readme_are_right() -> None:
    """They parse, as far as that can be known without their files."""
    lines = re.findall(r"^gscodec (.+?)(?:  +#.*| #.*)?$", README, re.MULTILINE)
    assert len(lines) > 8
    for line in lines:
        name, *args = line.split()
        load(name).make_context(name, args)


def test_the_index_has_every_page() -> None:
    index = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    for page in PAGES:
        assert page.name == "index.md" or f"({page.name})" in index, page.name


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), target
