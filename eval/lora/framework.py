"""The trained model as the framework runs it: base and adapter in transformers and PEFT, for comparison with the served one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eval.lora.base import Base, end_of_turn, read_model, read_tokenizer, render, require_torch

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Framework:
    """Base and adapter, in float32, the adapter switchable."""

    def __init__(self, base: Base, adapter: Path) -> None:
        """Raises UsageError when the adapter does not fit the base."""
        require_torch()
        import torch
        from peft import PeftModel

        self.tokenizer: PreTrainedTokenizerBase = read_tokenizer(base)
        model = PeftModel.from_pretrained(read_model(base, torch.float32), str(adapter))
        self._model: Any = model.eval()
        self._end = end_of_turn(self.tokenizer)

    def render(self, messages: Sequence[dict[str, str]], template: str) -> str:
        """The prompt text by a chat template (Jinja)."""
        return render(self.tokenizer, messages, template)

    def token_ids(self, text: str) -> list[int]:
        """Token ids of a rendered prompt."""
        return list(self.tokenizer(text, add_special_tokens=False).input_ids)

    def logprobs(self, ids: Sequence[int], last: int, *, adapted: bool = True) -> NDArray[np.float64]:
        """(last, vocabulary) log-probabilities of the token after each of the last `last` positions of `ids`."""
        import torch

        with torch.no_grad():
            if adapted:
                logits = self._logits(ids, last)
            else:
                with self._model.disable_adapter():
                    logits = self._logits(ids, last)
            found: NDArray[np.float64] = torch.log_softmax(logits.double(), dim=-1).cpu().numpy()
        return found

    def _logits(self, ids: Sequence[int], last: int) -> Any:
        import torch

        device = next(self._model.parameters()).device
        return self._model(input_ids=torch.tensor([list(ids)], device=device), logits_to_keep=last).logits[0]

    def greedy(self, ids: Sequence[int], count: int) -> list[int]:
        """At most `count` greedily chosen tokens, the end of turn left out."""
        import torch

        device = next(self._model.parameters()).device
        start = torch.tensor([list(ids)], device=device)
        with torch.no_grad():
            out = self._model.generate(
                input_ids=start,
                attention_mask=torch.ones_like(start),
                max_new_tokens=count,
                do_sample=False,
                temperature=None,
                top_p=None,
                top_k=None,
                eos_token_id=self._end,
                pad_token_id=self._end,
            )
        found = [int(t) for t in out[0, len(ids) :]]
        return found[:-1] if found and found[-1] == self._end else found
