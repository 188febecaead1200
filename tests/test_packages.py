"""What wheels and images are made of: read as a builder reads it, for no test has one."""

from __future__ import annotations

import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from gscodec import page

ROOT = Path(__file__).parent.parent
VIEWER = ("viewer.js", "viewer.css", "viewer.LICENSE.txt")


def copied() -> list[str]:
    """Paths of this folder that Containerfile takes."""
    lines = re.findall(
        r"^COPY (?!--from)(.*)$", (ROOT / "Containerfile").read_text(), re.MULTILINE
    )
    return [name for line in lines for name in line.split()[:-1]]


@pytest.mark.parametrize("name", copied())
def test_what_an_image_takes_is_here_and_not_ignored(name: str) -> None:
    assert (ROOT / name).exists()
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    kept = [rule[1:] for rule in rules if rule.startswith("!")]
    assert any(name == rule or name.startswith(f"{rule}/") for rule in kept)
    assert not any(fnmatch(name, rule) for rule in rules if rule[0] not in "!#*")


def test_images_and_wheels_have_the_same_viewer() -> None:
    """Containerfile puts the files of the package where `make page` does."""
    text = (ROOT / "Containerfile").read_text()
    make = (ROOT / "Makefile").read_text()
    found = re.findall(r"COPY --from=page /page/(\S+) src/gscodec/page/(\S+)", text)
    assert tuple(sorted(target for _, target in found)) == tuple(sorted(VIEWER))
    for source, _ in found:
        assert f"cp build/page/{source} " in make
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (artifact,) = project["tool"]["hatch"]["build"]["targets"]["wheel"]["artifacts"]
    assert all(fnmatch(f"src/gscodec/page/{name}", artifact) for name in VIEWER)
    assert (Path(page.__file__).parent / "package-lock.json").exists()


def test_extras_are_known_and_all_has_them() -> None:
    """Of `pip install '.[all]'`; and each that an image or a text names is one."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = extras["optional-dependencies"]
    told = re.search(r"gscodec\[(.*)\]", extras["all"][0])
    assert told
    assert set(told[1].split(",")) <= set(extras)
    texts = [ROOT / "Containerfile", ROOT / "README.md", ROOT / "docs/install.md"]
    for text in texts:
        named = re.findall(r"(?:gscodec|\.|\))\[([a-z,]+)\]['\"]", text.read_text())
        assert {name for names in named for name in names.split(",")} <= set(extras)
