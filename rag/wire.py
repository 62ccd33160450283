"""Domain types to the JSON of the commands and of HTTP: one shape for both, written down once."""

from __future__ import annotations

from typing import Any

from rag.types import Answer, Citation, Hit, IngestReport, PageReport, SearchResult, Sentence


def hit_json(hit: Hit) -> dict[str, Any]:
    """A hit as the contract has it."""
    found = {
        "rank": hit.rank,
        "score": float(hit.score),
        "document": hit.chunk.document,
        "title": hit.title,
        "path": hit.path,
        "page": hit.chunk.page,
        "heading": " > ".join(hit.chunk.heading),
        "span": list(hit.chunk.span),
        "text": hit.chunk.text,
        "date": hit.date,
        "text_score": round(hit.text_score, 3),
        "stages": {name: {"rank": s.rank, "score": float(s.score)} for name, s in hit.stages.items()},
    }
    if hit.matched_terms:
        found["matched_terms"] = list(hit.matched_terms)
    return found


def search_json(result: SearchResult, question: str | None = None) -> dict[str, Any]:
    """A search result as the contract has it; with the `question` that was asked, also the query it became, if that is another."""
    found: dict[str, Any] = {
        "hits": [hit_json(h) for h in result.hits],
        "seconds": round(result.seconds, 4),
        "generation": result.generation,
    }
    if question is not None and result.query not in ("", question):
        found["query"] = result.query
    if result.why_not is not None:
        found["why_not"] = dict(result.why_not)
    if result.notes:
        found["notes"] = list(result.notes)
    return found


def citation_json(c: Citation) -> dict[str, Any]:
    """A citation as the contract has it."""
    return {
        "n": c.n,
        "document": c.document,
        "title": c.title,
        "path": c.path,
        "page": c.page,
        "span": list(c.span),
        "quote": c.quote,
        "text_score": round(c.text_score, 3),
    }


def sentence_json(s: Sentence) -> dict[str, Any]:
    """A checked sentence as the contract has it."""
    return {
        "text": s.text,
        "verdict": s.verdict,
        "citations": list(s.citations),
        "span": list(s.span),
        "reason": s.reason,
    }


def answer_json(answer: Answer) -> dict[str, Any]:
    """An answer as the contract has it."""
    t = answer.timings
    return {
        "status": answer.status,
        "answer": answer.text,
        "citations": [citation_json(c) for c in answer.citations],
        "sentences": [sentence_json(s) for s in answer.sentences],
        "timings": {
            "retrieve": round(t.retrieve, 3),
            "first_token": round(t.first_token, 3),
            "total": round(t.total, 3),
            "prompt_tokens": t.prompt_tokens,
            "cached_tokens": t.cached_tokens,
            "answer_tokens": t.answer_tokens,
        },
        "model": answer.model,
        "generation": answer.generation,
        "finish_reason": answer.finish_reason,
        "confidence": answer.confidence,
    }


def page_json(p: PageReport) -> dict[str, Any]:
    """A line of the parse-quality ledger."""
    return {
        "path": p.path,
        "page": p.page,
        "text_score": round(p.text_score, 3),
        "ocr": p.ocr,
        "tables": p.tables,
        "characters_lost": p.characters_lost,
    }


def report_json(report: IngestReport) -> dict[str, Any]:
    """An ingest report as the contract has it."""
    return {
        "added": len(report.added),
        "updated": len(report.updated),
        "unchanged": report.unchanged,
        "removed": len(report.removed),
        "moved": [list(m) for m in report.moved],
        "failed": [{"path": f.path, "reason": f.reason} for f in report.failed],
        "skipped": [{"path": f.path, "reason": f.reason} for f in report.skipped],
        "red_pages": [page_json(p) for p in report.red_pages],
        "chunks": report.chunks,
        "embedded": report.embedded,
        "seconds": round(report.seconds, 2),
        "generation": report.generation,
    }
