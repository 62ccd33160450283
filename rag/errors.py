"""The errors a user can meet. Each message gives the thing, the reason and the next step, on one line.

    RagError
    ├── UsageError             wrong use: exit code 2, status 400
    ├── NotFound               a collection, document, generation, key or job that does not exist: 404
    ├── PermissionDenied       the caller may not do this: 403
    ├── CollectionLocked       another process writes to this collection: 409
    ├── CollectionMismatch     the collection was made with other models or a newer format; names both values
    ├── CorruptCollection      a file or row is not what was committed; never answered from
    ├── StorageFailed          the disk refused a write; nothing of the run was committed after the last commit
    ├── ModelUnavailable       weights are not here and no source has them
    │   └── BadWeights         what came is not what the catalog says (SHA-256)
    ├── ReadFailed             a file could not be read; the reason is for the report (a batch goes on)
    ├── Busy                   the queue is full: 429 with retry_after seconds
    └── GeneratorFailed        the language model: 502
        ├── GeneratorDown          no server at the address: 503
        ├── GeneratorBusy          it answers that it is busy: 503
        ├── GeneratorTimeout       no token within the time allowed: 504
        ├── ModelMissing           the server does not have the model: the next step pulls it
        ├── PromptTooLong          the prompt does not fit the context
        ├── GeneratorOutOfMemory   the model does not fit in memory
        └── StreamBroken           the answer was cut in mid-stream

Anything else that escapes is a bug, and is shown as one.
"""

from __future__ import annotations


class RagError(Exception):
    """Base of what is shown to a user as one line."""

    exit_code = 1
    status = 500


class UsageError(RagError):
    exit_code = 2
    status = 400


class NotFound(RagError):
    status = 404


class PermissionDenied(RagError):
    status = 403


class CollectionLocked(RagError):
    status = 409


class CollectionMismatch(RagError):
    status = 409


class CorruptCollection(RagError):
    pass


class StorageFailed(RagError):
    status = 507


class ModelUnavailable(RagError):
    status = 503


class BadWeights(ModelUnavailable):
    pass


class ReadFailed(RagError):
    status = 422


class Busy(RagError):
    status = 429

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after  # seconds


class GeneratorFailed(RagError):
    status = 502


class GeneratorDown(GeneratorFailed):
    status = 503


class GeneratorBusy(GeneratorFailed):
    status = 503


class GeneratorTimeout(GeneratorFailed):
    status = 504


class ModelMissing(GeneratorFailed):
    pass


class PromptTooLong(GeneratorFailed):
    status = 400


class GeneratorOutOfMemory(GeneratorFailed):
    status = 503


class StreamBroken(GeneratorFailed):
    pass
