// The newest evaluation report: verdicts, then every measure with its interval.

import { call, picture, Refused } from "./api.js";
import { h, notice, svg } from "./dom.js";
import { current, t } from "./i18n.js";

// What a reader looks for in a comparison of answers, in this order; the file has the rest. A ranking report shows all it has.
const SHOWN = ["correct", "f1", "outdated", "refusal_precision", "refusal_recall", "citation_precision", "citation_recall", "latency_p50", "first_token", "memory_mb"];

export function reportView(state) {
  const body = h("div", { "aria-busy": "true" });
  call("GET", "/report").then(
    (found) => body.replaceChildren(...draw(found, state.me.admin)),
    (error) => body.replaceChildren(error instanceof Refused && error.status === 404
      ? h("p.empty", {}, t("noReport"), h("small", {}, error.message))
      : h("p.error", { role: "alert" }, error instanceof Refused ? error.message : t("offline"))),
  ).finally(() => body.setAttribute("aria-busy", "false"));
  return h("div.view", {}, h("h1", {}, t("report")), h("p.lead", {}, t("reportLead")), body);
}

function draw({ name, created, report }, admin) {
  const parts = [h("p.facts", {}, `${name} · ${created.slice(0, 16).replace("T", " ")} UTC`, ...(admin ? [" · ", h("button.link", { type: "button", onclick: keep }, t("wholeReport"))] : []))];
  const verdicts = Array.isArray(report.verdicts) ? report.verdicts : [];
  const list = (some) => h("ul.verdicts", {}, some.map((v) => h("li", {}, String((current() === "zh" && v.text_zh) || v.text || ""))));
  const decided = verdicts.filter((v) => v.better !== "undecided");
  const open = verdicts.filter((v) => v.better === "undecided");
  if (verdicts.length) parts.push(h("h2", {}, t("verdicts")), decided.length ? list(decided) : h("p.empty", {}, t("nothingDecided")));
  if (open.length) parts.push(h("details", {}, h("summary", {}, t("undecided", open.length)), list(open)));
  const found = measures(report);
  const names = report.arms ? SHOWN.filter((measure) => found[measure]) : Object.keys(found);
  for (const measure of names) parts.push(chart(measure, found[measure]));
  if (parts.length === 1) parts.push(h("p.empty", {}, t("noReport")));
  return parts;
}

// The file is fetched with the key, which a plain link would not send, and handed to the browser to keep.
async function keep() {
  try {
    h("a", { href: await picture("/report/file"), download: "report.html" }).click();
  } catch (error) {
    notice(error instanceof Refused ? error.message : t("offline"));
  }
}

// measure -> [{name, mean, low, high, n}], from either kind of report.
function measures(report) {
  const found = {};
  for (const [name, arm] of Object.entries(report.arms ?? report.runs ?? {})) {
    for (const [measure, value] of Object.entries(arm?.metrics ?? arm ?? {})) {
      const v = typeof value === "number" ? { mean: value } : value;
      if (typeof v?.mean !== "number" || measure === "n") continue;
      (found[measure] ??= []).push({ name, ...v });
    }
  }
  return found;
}

function chart(measure, values) {
  const top = Math.max(1, ...values.map((v) => v.high ?? v.mean));
  const said = (value) => value.toFixed(top > 50 ? 0 : 3);
  const x = (value) => `${(100 * Math.max(0, value)) / top}%`;
  const bar = (v) => svg("svg", { class: "bar", role: "img", "aria-label": said(v.mean), width: "100%", height: "16" },
    svg("line", { x1: "0", x2: "100%", y1: "8", y2: "8", class: "track" }),
    ...(typeof v.low === "number" ? [svg("line", { x1: x(v.low), x2: x(v.high), y1: "8", y2: "8", class: "interval" })] : []),
    svg("circle", { cx: x(v.mean), cy: "8", r: "5", class: "mean" }));
  return h("section.chart", {}, h("h3", {}, t(measure)), h("table", {}, h("tbody", {}, values.map((v) => h("tr", {},
    h("th", { scope: "row" }, v.name), h("td.plot", {}, bar(v)),
    h("td.narrow", {}, said(v.mean), typeof v.low === "number" && h("small", {}, ` ${said(v.low)} – ${said(v.high)}`)),
    h("td.narrow", {}, v.n ? h("small", {}, `n = ${v.n}`) : ""))))));
}
