"""Settings: precedence, types, refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.errors import UsageError
from rag.settings import Settings


def test_a_flag_beats_the_environment_and_the_environment_beats_the_file(tmp_path: Path) -> None:
    (tmp_path / "ragbase.toml").write_text('k = 3\nport = 1111\nhost = "127.0.0.3"\n')
    read = Settings.load({"RAG_K": "4", "RAG_PORT": "2222", "RAG_HOME": str(tmp_path)}, k=5, port=None)
    assert (read.k, read.port, read.host) == (5, 2222, "127.0.0.3")


def test_a_value_of_the_wrong_type_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="setting port: 'many' is not a value of type int"):
        Settings.load({"RAG_PORT": "many"})


def test_an_unknown_key_in_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ragbase.toml").write_text("prot = 8600\n")
    with pytest.raises(UsageError, match="unknown setting prot"):
        Settings.load({}, home=tmp_path)


def test_a_file_that_is_not_toml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ragbase.toml").write_text("k = = 3")
    with pytest.raises(UsageError, match="not valid TOML"):
        Settings.load({}, home=tmp_path)


def test_the_file_named_by_the_environment_must_exist(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        Settings.load({"RAG_CONFIG": str(tmp_path / "absent.toml")})


def test_secrets_are_not_public() -> None:
    assert "s3cret" not in str(Settings.load({"RAG_GENERATOR_KEY": "s3cret"}).public())


def test_home_is_absolute_so_that_a_change_of_folder_changes_nothing() -> None:
    assert Settings.load({"RAG_HOME": "somewhere"}).home.is_absolute()
