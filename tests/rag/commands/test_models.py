"""`rag models` from the command line."""

import json

import pytest

from rag.cli import main


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    code = main(["models", *args])
    out = capsys.readouterr()
    return code, out.out, out.err


def test_list_names_every_model_with_its_licence(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "list", "--json")
    models = json.loads(out)["models"]
    assert code == 0
    assert {"bge-small-zh-v1.5", "qwen2.5-coder-1.5b-instruct", "bge-reranker-base"} <= {m["name"] for m in models}
    assert all(m["licence"] and m["bytes"] and m["sources"] for m in models)


def test_fit_follows_the_formula(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "fit", "--params", "7B", "--bits", "4", "--json")
    fit = json.loads(out)
    assert code == 0
    assert fit["weights_gb"] == pytest.approx(4.2)
    assert fit["speed_class"] in ("<10", "10-20", "20-50", "50-100", ">100")
    assert isinstance(fit["fits"], bool)
    assert fit["context_gb"] > 0


def test_fit_without_a_size_lists_the_catalog(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "fit", "--json")
    models = json.loads(out)["models"]
    assert len(models) >= 10
    assert all({"weights_gb", "context_gb", "fits", "speed_class"} <= m.keys() for m in models)


@pytest.mark.parametrize("params", ["x", "0B", "-7B"])
def test_a_size_that_is_none_is_wrong_usage(capsys: pytest.CaptureFixture[str], params: str) -> None:
    code, _, err = run(capsys, "fit", f"--params={params}")
    assert code == 2
    assert err.count("\n") == 1


def test_every_wrong_name_is_answered_before_a_byte_is_fetched(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "pull", "qwen2.5-coder-1.5b-instruct", "smollm2-135m-instuct")
    assert (code, out) == (1, "")
    assert "did you mean smollm2-135m-instruct" in err


def test_a_model_without_a_source_fails_and_says_why(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setenv("RAG_MODELS", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("rag.models.hub.reachable", lambda _: False)
    code, _, err = run(capsys, "pull", "bge-reranker-base")
    assert code == 1
    assert "only the model hub has it" in err
