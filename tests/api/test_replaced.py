"""A collection that another process replaces while the service runs, as `rag collections reembed` and `rag restore` do."""

from __future__ import annotations

from pathlib import Path

from rag.settings import Settings
from rag.storage.home import Home
from tests.api.toy import Live, ToyServices, add


def test_the_service_goes_on_with_what_took_its_place(tmp_path: Path) -> None:
    home = tmp_path / "home"
    add(home, {"clock.md": "The tower clock was built in 1874."})
    add(home, {"clock.md": "The tower clock was built in 1902."}, collection="coming")
    with Live(home) as live:
        ask = {"question": "tower clock"}
        assert "1874" in live.client.post("/search", json=ask).text
        Home(home).replace("default", "coming")
        for address, body in (("/search", ask), ("/ask", ask)):
            answer = live.client.post(address, json=body)
            assert answer.status_code == 200, answer.text
            assert "1902" in answer.text
        assert live.client.get("/readyz").status_code == 200
        Home(home).remove("default")
        assert live.client.post("/search", json=ask).status_code == 404


def test_a_request_ends_with_the_collection_that_it_began_with(tmp_path: Path) -> None:
    home = tmp_path / "home"
    add(home, {"clock.md": "The tower clock was built in 1874."})
    with ToyServices(Settings(home=home)) as services:
        snapshot = services.collection().snapshot()
        services.forget("default")
        services.home.remove("default")
        assert "1874" in snapshot.document("clock").text


def test_collections_that_come_and_go_leave_no_open_files(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with ToyServices(Settings(home=home)) as services:
        open_before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(5):
            add(home, {"clock.md": "The tower clock was built in 1874."})
            assert services.collection().snapshot().documents()
            services.forget("default")
            services.home.remove("default")
        assert len(list(Path("/proc/self/fd").iterdir())) <= open_before
