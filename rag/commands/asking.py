"""`rag search`, `rag ask` and `rag chat`: a question in, hits or a proved answer out."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rag.cli import common, emit
from rag.errors import UsageError
from rag.generation.citations import cited_numbers, without_citations
from rag.generation.sentences import sentence_spans
from rag.settings import Settings
from rag.types import Answer, AnswerDone, AskRequest, Hit, Message, SearchRequest, SearchResult, SourcesFound, TextDelta
from rag.wire import answer_json, search_json
from rag.wiring import Services


def register(commands: _SubParsersAction[ArgumentParser]) -> None:
    """Adds the three commands."""
    search = commands.add_parser(
        "search",
        help="find the passages that speak of a question",
        description="Finds passages. Best first; the score of one mode says nothing about another's.",
        epilog='Example: rag search "annual leave" -k 5 --filter "lang=en date>=2025-01-01" --explain',
    )
    _question(search, default_k=10)
    search.set_defaults(run=run_search)

    ask = commands.add_parser(
        "ask",
        help="answer a question from the documents, with citations",
        description="Answers from the documents alone and cites page and span; refuses when they do not say.",
        epilog='Example: rag ask "How many days of annual leave do I get?"',
    )
    _question(ask, default_k=None)
    _model(ask)
    ask.add_argument("--schema", metavar="FILE", help="JSON schema that the answer must follow")
    ask.set_defaults(run=run_ask)

    chat = commands.add_parser(
        "chat",
        help="ask follow-up questions in the terminal",
        description="A conversation: follow-up questions are understood from the turns before. Ctrl-C stops an answer, Ctrl-D ends.",
    )
    _scope(chat, default_k=None)
    _model(chat)
    chat.set_defaults(run=run_chat)


def run_search(args: Namespace) -> int:
    """Prints the hits of one search."""
    with _services(args) as services:
        result = services.retriever().search(_request(args, args.question))
    emit(args, search_json(result, args.question), _hits_text(result, args.explain))
    return 0


def run_ask(args: Namespace) -> int:
    """Prints one answer: on a terminal as it is written, then its sources."""
    schema = _schema(args.schema) if args.schema else None
    with _services(args) as services:
        request = AskRequest(_request(args, args.question), schema=schema)
        answer = _answer(services, request, live=not args.json and sys.stdout.isatty())
        _note_gap(services, answer)
    if args.json or not sys.stdout.isatty():
        emit(args, answer_json(answer), f"{answer.text}\n\n{_sources_text(answer)}")
    return 0


def run_chat(args: Namespace) -> int:
    """Reads questions until the input ends."""
    history: tuple[Message, ...] = ()
    terminal = sys.stdin.isatty()
    with _services(args, lasting=True) as services:
        services.retriever()  # a missing collection is said before the first question is typed
        while True:
            if terminal:
                sys.stderr.write("> ")
                sys.stderr.flush()
            line = sys.stdin.readline()
            if not line:
                return 0
            if not line.strip():
                continue
            try:
                request = AskRequest(_request(args, line.strip(), history))
                answer = _answer(services, request, live=not args.json)
                _note_gap(services, answer)
            except KeyboardInterrupt:
                sys.stderr.write("\n(stopped)\n")
                continue
            if args.json:
                emit(args, answer_json(answer), "")
            history += (Message("user", line.strip()), Message("assistant", answer.text))


def _question(command: ArgumentParser, default_k: int | None) -> None:
    command.add_argument("question", help="the question, in quotes")
    _scope(command, default_k)
    command.add_argument(
        "--explain", action="store_true", help="show each stage's rank and score and the matched terms"
    )
    command.add_argument(
        "--why-not", metavar="DOC", help="say at which stage this document (id, path or name) was lost"
    )


def _scope(command: ArgumentParser, default_k: int | None) -> None:
    common(command)
    command.add_argument(
        "-k", type=int, default=default_k, help="passages to find or to read (default: the settings' k)"
    )
    command.add_argument("--mode", choices=["hybrid", "dense", "keyword"], default="hybrid", help="default: hybrid")
    command.add_argument("--no-rerank", action="store_true", help="leave out the reranker: faster, less exact")
    command.add_argument("--groups", metavar="A,B", help="see only what these groups may see (default: everything)")
    command.add_argument("--as-of", type=int, metavar="G", help="search generation G, as it was committed")
    command.add_argument(
        "--filter", default="", metavar="EXPR", help='"path=policies/* date>=2025-01-01 lang=zh type=pdf"'
    )


def _model(command: ArgumentParser) -> None:
    command.add_argument(
        "--model",
        metavar="M",
        help="auto | embedded[:NAME] | ollama:NAME | openai:URL#NAME, or the name of a catalog model (RAG_GENERATOR)",
    )


@contextmanager
def _services(args: Namespace, *, lasting: bool = False) -> Iterator[Services]:
    model = getattr(args, "model", None)
    if model and model not in ("auto", "embedded") and ":" not in model:
        model = f"embedded:{model}"
    settings = Settings.load(home=args.home, collection=args.collection, generator=model)
    with Services(settings, lasting=lasting) as services:
        yield services


def _request(args: Namespace, question: str, history: tuple[Message, ...] = ()) -> SearchRequest:
    if not question.strip():
        raise UsageError("the question is empty; put it in quotes after the command")
    groups = None if args.groups is None else frozenset(g.strip() for g in args.groups.split(",") if g.strip())
    try:
        return SearchRequest(
            question=question,
            k=args.k if args.k is not None else 10,
            mode=args.mode,
            rerank=not args.no_rerank,
            groups=groups,
            as_of=args.as_of,
            filter=args.filter,
            explain=getattr(args, "explain", False),
            why_not=getattr(args, "why_not", None),
            history=history,
        )
    except ValueError as e:
        raise UsageError(str(e)) from e


def _schema(file: str) -> dict[str, Any]:
    import json

    try:
        read = json.loads(Path(file).read_text(encoding="utf-8"))
    except ValueError as e:
        raise UsageError(f"{file}: not valid JSON ({e})") from e
    if not isinstance(read, dict):
        raise UsageError(f"{file}: a JSON schema is an object")
    return read


def _answer(services: Services, request: AskRequest, live: bool) -> Answer:
    """The finished answer; `live` also writes it to stdout as it comes, then its sources."""
    shown = ""
    answer: Answer | None = None
    for event in services.answerer().stream(request):
        match event:
            case TextDelta(text) if live:
                sys.stdout.write(text)
                sys.stdout.flush()
                shown += text
            case AnswerDone(done):
                answer = done
            case SourcesFound() | TextDelta():
                pass
    assert answer is not None, "an answer's stream ends with AnswerDone"
    if live:
        if not _shown(answer.text, shown):
            sys.stdout.write(f"\n\nAfter checking it against its sources:\n{answer.text}" if shown else answer.text)
        sys.stdout.write(f"\n\n{_sources_text(answer)}\n")
        sys.stdout.flush()
    return answer


def _shown(text: str, shown: str) -> bool:
    """Whether what was streamed is the answer, or one sentence that has it in more words. Of several one may have been dropped."""
    core = without_citations(text).strip(" .。")
    cut = bool(core) and core in without_citations(shown) and cited_numbers(text) == cited_numbers(shown)
    return text.strip() == shown.strip() or (cut and len(sentence_spans(shown)) == 1)


def _note_gap(services: Services, answer: Answer) -> None:
    """Queues a question that the documents do not answer as a gap in their content, where the service's are."""
    if answer.status != "abstained":
        return
    from rag.storage.ledger import Ledger

    with Ledger(Path(services.settings.home)) as ledger:
        ledger.add_gap(services.settings.collection, answer.question, "abstained")


def _sources_text(answer: Answer) -> str:
    t = answer.timings
    lines = []
    for c in answer.citations:
        page = f", page {c.page}" if c.page else ""
        doubtful = "" if c.text_score >= 0.5 else " (badly readable page: check the original)"
        lines.append(
            f"[{c.n}] {c.title} — {c.path}{page}, characters {c.span[0]}-{c.span[1]}{doubtful}\n    “{_short(c.quote, 240)}”"
        )
    marks = {"supported": "✓", "partly": "~", "unsupported": "✗"}
    if answer.sentences:
        lines.append("Evidence: " + " ".join(f"{marks[s.verdict]} {s.verdict}" for s in answer.sentences))
    lines.append(
        f"{answer.status} by {answer.model} in {t.total:.1f} s (first token {t.first_token:.1f} s, "
        f"{t.prompt_tokens} prompt tokens, {t.cached_tokens} of them cached), generation {answer.generation}"
    )
    return "\n".join(lines)


def _hits_text(result: SearchResult, explain: bool) -> str:
    lines = [_hit_text(hit, explain) for hit in result.hits] or ["nothing found"]
    if result.why_not is not None:
        lines.append("why not: " + ", ".join(f"{key}: {value}" for key, value in result.why_not.items()))
    lines += [f"note: {note}" for note in result.notes]
    lines.append(f"{len(result.hits)} hits in {result.seconds:.2f} s, generation {result.generation}")
    return "\n".join(lines)


def _hit_text(hit: Hit, explain: bool) -> str:
    page = f" p.{hit.chunk.page}" if hit.chunk.page else ""
    place = " › ".join(dict.fromkeys((hit.title, *hit.chunk.heading)))  # the first heading often is the title
    lines = [
        f"{hit.rank}. {place} — {hit.path}{page} ({hit.score:.3f})",
        f"   {_short(hit.chunk.text, 300)}",
    ]
    if explain:
        stages = ", ".join(f"{name} #{s.rank} {s.score:.3f}" for name, s in hit.stages.items())
        lines.append(f"   stages: {stages}; matched: {', '.join(hit.matched_terms) or 'no term'}")
    return "\n".join(lines)


def _short(text: str, limit: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
