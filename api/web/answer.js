// An answer as elements: sentences coloured by their support, [n] as buttons that open the source.

import { h, icon, notice } from "./dom.js";
import { call } from "./api.js";
import { pageLabel, t } from "./i18n.js";
import { openSource } from "./viewer.js";

const MARK = /\[(\d+)\]/g;

function cited(text, citations) {
  const parts = [];
  let at = 0;
  for (const match of text.matchAll(MARK)) {
    const source = citations.find((c) => c.n === Number(match[1]));
    if (!source) continue;
    parts.push(text.slice(at, match.index), citeButton(source));
    at = match.index + match[0].length;
  }
  parts.push(text.slice(at));
  return parts;
}

function citeButton(source) {
  const place = source.page ? `${source.title}, ${pageLabel(source.page)}` : source.title;
  return h("button.cite", { type: "button", title: place, "aria-label": `${t("source")} ${source.n}: ${place}`, onclick: () => openSource(source) }, String(source.n));
}

export function answerText(answer) {
  const body = h("div.text", {});
  let at = 0;
  for (const sentence of answer.sentences) {
    const [first, last] = sentence.span;
    const text = answer.answer.slice(first, last); // no line under the space around it
    const start = first + text.length - text.trimStart().length;
    const end = first + text.trimEnd().length;
    if (start < at || end <= start || end > answer.answer.length) continue;
    if (start > at) body.append(...cited(answer.answer.slice(at, start), answer.citations));
    const reason = sentence.reason ? ` — ${sentence.reason}` : "";
    body.append(h(`span.s.${sentence.verdict}`, { title: t(sentence.verdict) + reason }, cited(answer.answer.slice(start, end), answer.citations),
      h("span.unseen", {}, ` (${t(sentence.verdict)}) `)));
    at = end;
  }
  body.append(...cited(answer.answer.slice(at), answer.citations));
  return body;
}

export function legend(answer) {
  const kinds = ["supported", "partly", "unsupported"].filter((v) => answer.sentences.some((s) => s.verdict === v));
  if (!kinds.length) return null;
  return h("p.legend", { "aria-label": t("legend") }, kinds.map((v) => h(`span.key.${v}`, {}, t(v))));
}

export function sourceList(citations) {
  if (!citations.length) return null;
  return h("section.sources", { "aria-label": t("sources") }, h("h3", {}, t("sources")), h("ol", {}, citations.map(sourceCard)));
}

function sourceCard(source) {
  const where = [source.path, source.page && pageLabel(source.page)].filter(Boolean).join(" · ");
  return h("li", {}, h("button.card", { type: "button", onclick: () => openSource(source) },
    h("span.n", {}, String(source.n)), h("span.what", {}, h("b", {}, source.title), h("small", {}, where), h("q", {}, source.quote)),
    source.text_score < 0.5 && h("span.warn", {}, t("hardToRead"))));
}

export function passages(hits) {
  const shown = hits.slice(0, 8).map((hit) => ({ ...hit, n: hit.rank, quote: hit.text.slice(0, 400) }));
  return h("section.sources", {}, h("h3", {}, t("passages")), h("ol", {}, shown.map(sourceCard)));
}

export function actions(question, answer, collection) {
  const place = h("div.actions", {});
  const rate = async (rating, comment = "") => {
    await call("POST", "/feedback", { rating, comment, answer_id: answer.id, question, answer: answer.answer.slice(0, 40000), ...(collection ? { collection } : {}) });
    notice(t("thanks"));
  };
  const up = h("button.quiet", { type: "button", title: t("helpful"), "aria-label": t("helpful"), "aria-pressed": "false", onclick: async () => {
    await rate("up");
    press(up);
  } }, icon("up"));
  const down = h("button.quiet", { type: "button", title: t("unhelpful"), "aria-label": t("unhelpful"), "aria-pressed": "false", onclick: () => {
    press(down);
    if (place.querySelector("form")) return;
    const field = h("textarea", { rows: "2", maxlength: "4000", placeholder: t("comment"), "aria-label": t("comment") });
    const form = h("form.comment", { onsubmit: async (e) => {
      e.preventDefault();
      await rate("down", field.value);
      form.remove();
    } }, field, h("button", { type: "submit" }, t("sendComment")));
    place.append(form);
    field.focus();
  } }, icon("down"));
  const press = (button) => {
    up.setAttribute("aria-pressed", String(button === up));
    down.setAttribute("aria-pressed", String(button === down));
  };
  const copy = h("button.quiet", { type: "button", onclick: async () => {
    await navigator.clipboard.writeText(answer.answer);
    notice(t("copied"));
  } }, t("copy"));
  place.append(h("div.row", {}, up, down, copy, h("small.facts", {}, `${answer.model} · ${t("seconds", answer.timings.total.toFixed(1))}`)));
  return place;
}
