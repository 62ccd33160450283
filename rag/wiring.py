"""Settings to services: the only place that chooses implementations. Everything heavy is made when first asked for."""

from __future__ import annotations

from copy import copy
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING

from rag.settings import Settings

if TYPE_CHECKING:
    from rag.generation.relevance import SentenceRelevance
    from rag.protocols import Answerer, Generator, Retriever
    from rag.retrieval.fields import Fields
    from rag.storage.collection import Collection
    from rag.storage.home import Home


class Services:
    """What the commands, the service and the evaluation work with. Thread-safe; close it when done."""

    def __init__(self, settings: Settings, *, lasting: bool = False) -> None:
        """`lasting` is said by a process that answers many questions: it embeds with the engine that is fastest for many passages, which
        takes a second or two to open."""
        self.settings = settings
        self._lasting = lasting
        self._lock = RLock()
        self._generator_lock = RLock()  # its own: weights may take minutes to come, and searches do not wait for them
        self._collections: dict[str, Collection] = {}
        self._fields: dict[str, Fields] = {}
        self._relevances: dict[str, SentenceRelevance] = {}  # they keep vectors of sentences from question to question
        self._retrievers: dict[str, Retriever] = {}
        self._generator: Generator | None = None

    @property
    def home(self) -> Home:
        """The home folder; nothing is created by looking."""
        from rag.storage.home import Home

        settings = self.settings
        return Home(Path(settings.home), exact_vectors=settings.exact_vectors, threads=settings.threads)

    def collection(self, name: str | None = None, *, create: bool = False) -> Collection:
        """The open collection. Raises NotFound when it does not exist, unless `create`; then it gets the card that the
        settings ask for. One that was re-embedded, restored or removed meanwhile by another process is opened anew."""
        name = name or self.settings.collection
        with self._lock:
            if name in self._collections and self._collections[name].replaced:
                self._drop(name)
            if name not in self._collections:
                home = self.home
                if create and not home.exists(name):
                    from rag.retrieval.fields import card

                    self._collections[name] = home.create(name, card(self.settings))
                else:
                    self._collections[name] = home.open(name)
            return self._collections[name]

    def fields(self, name: str | None = None) -> Fields:
        """The embedders of a collection, as its card names them."""
        from rag.retrieval.fields import open_fields

        collection = self.collection(name)
        with self._lock:
            if collection.name not in self._fields:
                self._fields[collection.name] = open_fields(collection.card, self.settings, lasting=self._lasting)
            return self._fields[collection.name]

    def retriever(self, name: str | None = None) -> Retriever:
        """The retriever of a collection: the one code path for service, commands and evaluation."""
        from rag.retrieval.retriever import HybridRetriever

        collection = self.collection(name)
        with self._lock:
            if collection.name not in self._retrievers:
                self._retrievers[collection.name] = HybridRetriever(
                    collection, self.fields(collection.name), self.settings
                )
            return self._retrievers[collection.name]

    def generator(self) -> Generator:
        """The language model that the settings ask for."""
        from rag.generation.generators import open_generator

        with self._generator_lock:
            if self._generator is None:
                self._generator = open_generator(self.settings)
            return self._generator

    def answerer(
        self, name: str | None = None, generator: Generator | None = None, retriever: Retriever | None = None
    ) -> Answerer:
        """Question to proved answer over a collection; `generator` and `retriever` override those of the settings."""
        from rag.generation.answering import GroundedAnswerer
        from rag.generation.similarity import sentence_similarity

        return GroundedAnswerer(
            self.collection(name),
            retriever or self.retriever(name),
            generator or self.generator(),
            self.settings,
            similarity=sentence_similarity(self.fields(name).embedders),
            relevance=self.relevance(name),
        )

    def relevance(self, name: str | None = None) -> SentenceRelevance:
        """How near sentences are to a question, by a collection's embedders."""
        from rag.generation.relevance import SentenceRelevance

        fields = self.fields(name)
        with self._lock:
            known = name or self.settings.collection
            if known not in self._relevances:
                languages = {f.name: f.languages for f in fields.card.fields}
                self._relevances[known] = SentenceRelevance(languages, fields.embedders)
            return self._relevances[known]

    def for_collection(self, name: str | None) -> Services:
        """The same services with another default collection; models and open collections are shared."""
        if name is None or name == self.settings.collection:
            return self
        view = copy(self)
        view.settings = self.settings.with_changes(collection=name)
        return view

    def forget(self, name: str) -> None:
        """Lets go of a collection, before it is removed; waits for a compaction of it."""
        with self._lock:
            opened = self._drop(name)
        if opened is not None:
            opened.wait()

    def close(self) -> None:
        """Frees models, files and connections."""
        with self._generator_lock:
            if self._generator is not None:
                self._generator.close()
                self._generator = None
        with self._lock:
            for collection in self._collections.values():
                collection.close()
            self._collections.clear()
            self._fields.clear()
            self._relevances.clear()
            self._retrievers.clear()

    def _drop(self, name: str) -> Collection | None:
        """Not closed: requests that began with it end with it, and its files are freed with the last of them."""
        self._retrievers.pop(name, None)
        self._fields.pop(name, None)
        self._relevances.pop(name, None)
        return self._collections.pop(name, None)

    def __enter__(self) -> Services:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
