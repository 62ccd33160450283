"""What the documentation says is so."""

from __future__ import annotations

import re
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest

from rag.cli import parser
from rag.settings import Settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name]


def commands() -> set[str]:
    action = next(a for a in parser()._actions if a.dest == "command")
    assert isinstance(action.choices, dict)
    return set(action.choices)


def test_the_tree_in_the_readme_is_the_tree() -> None:
    block = README.split("## The tree")[1].split("```")[1]
    folder = ""
    for line in block.strip().splitlines():
        names = re.match(r"( *)((?:\S+ )*?\S+)(?:  +|$)", line)
        assert names, line
        if not names[1]:
            folder = names[2]
            assert (ROOT / folder).is_dir(), line
        else:
            for name in names[2].split():
                assert (ROOT / folder / name).exists(), line


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda p: p.name)
def test_every_rag_command_in_the_documentation_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    used = set(re.findall(r"(?:^|`|&& |/)rag ([a-z]+)", text, flags=re.MULTILINE))
    assert used <= commands(), used - commands()


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))], ids=lambda p: p.name)
def test_every_link_between_pages_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_every_make_target_in_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z-]+)", README)) <= targets


def test_every_setting_is_documented_with_its_default() -> None:
    page = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
    for knob in fields(Settings):
        assert f"`{knob.name}`" in page, knob.name
        assert knob.metadata["doc"], knob.name


def test_the_repository_speaks_of_the_project_alone() -> None:
    """No path of a developer's machine, no registry host."""
    own = Path(__file__).resolve()
    forbidden = re.compile(r"/(?:work|root|home/\w+)/\w|pypi\.org|files\.pythonhosted|repo1?\.maven|registry\.npmjs")
    for path in tracked():
        if (
            path == own
            or not path.is_file()
            or path.suffix in {".pdf", ".docx", ".pptx", ".xlsx", ".png", ".safetensors", ".npz"}
        ):
            continue
        found = forbidden.search(path.read_bytes().decode("utf-8", "replace"))
        assert not found, f"{path.relative_to(ROOT)}: {found and found[0]}"


def test_no_large_file_is_tracked() -> None:
    assert not [p for p in tracked() if p.is_file() and p.stat().st_size > 2_000_000]
