"""A person looks at every proposed pair: accept, edit, reject, or stop. Text in, text out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TextIO

from eval.lora.examples import Example

HELP = "[a]ccept  [q]uestion: edit it  answer: [e]dit it  [r]eject  [s]top here, keep what was accepted"


def review(examples: Sequence[Example], answers: TextIO, screen: TextIO) -> list[Example]:
    """The examples that the person accepted, as edited. An end of input stops the review."""
    kept: list[Example] = []
    for number, example in enumerate(examples, 1):
        current = example
        while True:
            screen.write(
                f"\n{number}/{len(examples)}  {', '.join(current.documents)}  ({current.origin}, {current.lang})\n"
                f"  evidence: {current.evidence}\n  question: {current.instruction}\n  answer:   {current.output}\n{HELP}\n> "
            )
            screen.flush()
            line = answers.readline()
            choice = line.strip().lower()[:1]
            if not line or choice == "s":
                return kept
            if choice == "a":
                kept.append(current)
                break
            if choice == "r":
                break
            if choice in ("q", "e"):
                screen.write("new question: " if choice == "q" else "new answer: ")
                screen.flush()
                text = answers.readline().strip()
                if text:
                    current = replace(current, instruction=text) if choice == "q" else replace(current, output=text)
    return kept
