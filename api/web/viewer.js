// The source beside the answer: the page of a PDF as a picture, or the text around the quote; the quote is highlighted in both.

import { call, picture, Refused } from "./api.js";
import { fill, h, icon } from "./dom.js";
import { pageLabel, t } from "./i18n.js";

const AROUND = 2500; // characters before and after the quote

let opener = null;
let shown = null; // URL of the picture, to be given back

export async function openSource(source) {
  opener = document.activeElement;
  const panel = document.getElementById("source");
  const body = h("div.body", { "aria-busy": "true" });
  const tabs = h("div.tabs", { role: "group" });
  panel.hidden = false;
  panel.setAttribute("aria-label", `${t("source")}: ${source.title}`);
  panel.replaceChildren(
    h("header", {}, h("div", {}, h("h2", {}, source.title), h("small", {}, [source.path, source.page && pageLabel(source.page)].filter(Boolean).join(" · "))),
      h("button.quiet", { type: "button", title: t("close"), "aria-label": t("close"), onclick: closeSource }, icon("close"))),
    tabs, body);
  document.body.classList.add("with-source");
  panel.querySelector("header button").focus();
  try {
    const facts = await call("GET", address(source));
    if (facts.picture && source.page) {
      const asPicture = h("button", { type: "button", "aria-pressed": "true", onclick: () => pick(asPicture, () => showPicture(body, source, facts, source.page)) }, t("picture"));
      const asText = h("button", { type: "button", "aria-pressed": "false", onclick: () => pick(asText, () => showText(body, source)) }, t("text"));
      const pick = (button, act) => {
        for (const other of [asPicture, asText]) other.setAttribute("aria-pressed", String(other === button));
        act();
      };
      tabs.append(asPicture, asText);
      await showPicture(body, source, facts, source.page);
    } else {
      await showText(body, source);
    }
  } catch (error) {
    body.replaceChildren(h("p.error", { role: "alert" }, error instanceof Refused ? error.message : t("offline")));
  }
  body.setAttribute("aria-busy", "false");
}

export function closeSource() {
  const panel = document.getElementById("source");
  if (panel.hidden) return;
  panel.hidden = true;
  panel.replaceChildren();
  document.body.classList.remove("with-source");
  release();
  opener?.focus?.({ preventScroll: true });
}

function release() {
  if (shown) URL.revokeObjectURL(shown);
  shown = null;
}

function address(source, rest = "", values = {}) {
  const collection = localStorage.getItem("collection");
  const query = new URLSearchParams({ ...(collection ? { collection } : {}), ...values });
  return `/documents/${encodeURIComponent(source.document)}${rest}${query.size ? `?${query}` : ""}`;
}

async function showPicture(body, source, facts, page) {
  const onItsPage = page === source.page;
  const span = onItsPage ? { start: source.span[0], end: source.span[1] } : {};
  const url = await picture(address(source, `/pages/${page}`, span));
  release();
  shown = url;
  const last = Math.max(...facts.pages.map((p) => p.number));
  const go = (to) => () => showPicture(body, source, facts, to);
  fill(body, [
    h("div.turner", {},
      h("button.quiet", { type: "button", disabled: page <= 1, "aria-label": t("earlier"), onclick: go(page - 1) }, icon("left")),
      h("span", {}, `${page} ${t("of")} ${last}`),
      h("button.quiet", { type: "button", disabled: page >= last, "aria-label": t("later"), onclick: go(page + 1) }, icon("right"))),
    h("img.page", { src: url, alt: `${source.title}, ${pageLabel(page)}` }),
    onItsPage && h("blockquote", {}, source.quote)]);
  body.scrollTop = 0;
}

async function showText(body, source) {
  const [from, to] = source.span;
  const start = Math.max(0, from - AROUND);
  const piece = await call("GET", address(source, "/text", { start, end: to + AROUND }));
  const column = h("div.document", {}, pieces(piece, from, to));
  fill(body, [
    piece.start > 0 && more("earlier", () => address(source, "/text", { start: Math.max(0, piece.start - 8000), end: piece.start }), (text) => column.prepend(...text)),
    column,
    piece.end < piece.characters && more("later", () => address(source, "/text", { start: piece.end, end: piece.end + 8000 }), (text) => column.append(...text))]);
  (body.querySelector("mark") ?? column).scrollIntoView({ block: "center" });
}

function more(label, where, add) {
  const button = h("button.more", { type: "button", onclick: async () => {
    const piece = await call("GET", where());
    add(pieces(piece, -1, -1));
    button.remove();
  } }, t(label));
  return button;
}

// The text cut at headings and at the quote's ends.
function pieces(piece, from, to) {
  const cuts = new Set([piece.start, piece.end]);
  const inside = (x) => x > piece.start && x < piece.end;
  for (const x of [from, to]) if (inside(x)) cuts.add(x);
  for (const [, a, b] of piece.headings) for (const x of [a, b]) if (inside(x)) cuts.add(x);
  const order = [...cuts].sort((a, b) => a - b);
  return order.slice(0, -1).map((a, i) => {
    const text = piece.text.slice(a - piece.start, order[i + 1] - piece.start);
    const heading = piece.headings.find(([, s, e]) => a >= s && a < e);
    const inner = heading ? h("b.heading", {}, text) : text;
    return a >= from && a < to ? h("mark", {}, inner) : heading ? inner : h("span", {}, text);
  });
}
