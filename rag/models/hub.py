"""The model hub, where it can be reached: asked once for three seconds, then remembered to be out of reach for an hour.

The home of huggingface_hub.
"""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

from rag.errors import BadWeights, ModelUnavailable
from rag.models.hashing import sha256_of

PROBE_SECONDS = 3.0
REMEMBER_SECONDS = 3600.0
WANTED = ("*.json", "*.safetensors", "*.txt", "*.model", "*/config.json")


def reachable(folder: Path) -> bool:
    """Whether the hub answers. `folder` is the cache that remembers a "no"; HF_HUB_OFFLINE counts as one."""
    from huggingface_hub import constants

    if constants.is_offline_mode():
        return False
    note = folder / ".hub-out-of-reach"
    if note.exists() and 0 <= time.time() - note.stat().st_mtime < REMEMBER_SECONDS:
        return False
    answered = threading.Event()
    # In a thread, because a name look-up in a closed network can hang far longer than any time-out of the client.
    threading.Thread(target=_ask, args=(constants.ENDPOINT, answered), daemon=True).start()
    if answered.wait(PROBE_SECONDS):
        note.unlink(missing_ok=True)
        return True
    folder.mkdir(parents=True, exist_ok=True)
    note.touch()
    return False


def _ask(address: str, answered: threading.Event) -> None:
    import httpx

    try:
        httpx.head(address, timeout=PROBE_SECONDS)
    except httpx.HTTPError:
        return
    answered.set()


def fetch_file(repository: str, path: str, scratch: Path) -> Path:
    """The file `path` of a repository, below `scratch`; a broken-off download is taken up again.

    Raises ModelUnavailable.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(repository, path, local_dir=scratch, etag_timeout=PROBE_SECONDS))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as e:
        raise ModelUnavailable(f"{repository}/{path}: the model hub does not give it ({_line(e)})") from e


def fetch_repository(repository: str, target: Path) -> None:
    """Fills `target` with the configuration, tokenizer and weights of a repository, each weight file checked against the
    SHA-256 that the hub states.

    Raises ModelUnavailable, BadWeights.
    """
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        facts = HfApi().model_info(repository, files_metadata=True, timeout=20)
        snapshot_download(repository, revision=facts.sha, local_dir=target, allow_patterns=list(WANTED))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as e:
        raise ModelUnavailable(f"{repository}: the model hub does not give it ({_line(e)})") from e
    shutil.rmtree(target / ".cache", ignore_errors=True)
    for file in facts.siblings or ():
        path = target / file.rfilename
        if file.lfs is not None and path.exists() and (found := sha256_of(path)) != file.lfs.sha256:
            raise BadWeights(
                f"{repository}/{file.rfilename}: SHA-256 {found[:12]}..., the hub states {file.lfs.sha256[:12]}...; "
                "nothing was kept, fetch it again"
            )


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:160]
